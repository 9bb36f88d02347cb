/** The option `slow`: what the server is asked for, and what is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, createHub, type Slow, type SubscribeOptions, TidegateError } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

/** The policy that a connection with these subscriptions asks the server for. */
async function asked(...slow: (Slow | undefined)[]): Promise<unknown> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  for (const each of slow) {
    tide.subscribe('job:1', each === undefined ? {} : { slow: each }, () => {});
  }
  await host.settle();
  FakeSocket.last.open();
  const subscribes = FakeSocket.last.take().filter(({ type }) => type === 'subscribe');
  tide.close();
  assert.equal(subscribes.length, 1);
  return subscribes[0]?.['slow'];
}

test('the server is told what one subscription wants, and of several what loses least', async () => {
  assert.equal(await asked(undefined), undefined);
  for (const slow of ['conflate', 'drop', 'disconnect'] as const) {
    assert.equal(await asked(slow), slow);
  }
  assert.equal(await asked('conflate', 'drop'), 'drop');
  assert.equal(await asked('disconnect', undefined, 'conflate'), 'disconnect');
  assert.equal(await asked('conflate', undefined), 'drop', 'who has said nothing is told of what is lost');
});

test('who comes later and allows less to be lost makes the server lose less', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.subscribe('job:1', { slow: 'conflate' }, () => {});
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.take();
  FakeSocket.last.receive(
    { type: 'welcome', heartbeat_ms: 25_000 },
    {
      type: 'subscribed',
      pattern: 'job:1',
      position: { epoch: 7, offset: 0 },
      recovered: false,
      flow: {},
    },
    { type: 'pub', topic: 'job:1', epoch: 7, offset: 3, data: 3 },
  );
  await host.settle();
  tide.subscribe('job:1', { slow: 'disconnect' }, () => {});
  await host.settle();
  assert.deepEqual(FakeSocket.last.take(), [
    { type: 'unsubscribe', pattern: 'job:1' },
    {
      type: 'subscribe',
      pattern: 'job:1',
      slow: 'disconnect',
      since: [{ topic: 'job:1', epoch: 7, offset: 3 }],
    },
  ]);
  tide.close();
});

test('what can not be is refused in words', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  await host.settle();
  const hub = createHub();
  const refused = (subscriber: typeof tide | typeof hub, options: SubscribeOptions, message: RegExp) =>
    assert.throws(
      () => subscriber.subscribe('job:1', options, () => {}),
      (error) => error instanceof TidegateError && message.test(error.message),
    );
  refused(hub, { slow: 'drop' }, /for connections/);
  refused(tide, { slow: 'drop', throttle: 'frame' }, /paced by frames/);
  refused(tide, { slow: 'never' as Slow }, /slow is never/);
  refused(tide, { slow: 'drop', durable: 'phone' }, /durable subscription/);
  tide.close();
  hub.close();
});
