import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, createHub, TidegateError, throttle } from 'tidegate';

import { connectionCore, localCore } from '../../dist/engine.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

test('a panic of the core is a typed error, and everything goes on with a fresh one', async () => {
  const host = new VirtualHost();
  const seen: unknown[] = [];
  const hub = createHub({ host });
  hub.subscribe('a', ({ data }) => seen.push(`hub ${data}`));
  hub.publish('a', 1);
  const fn = throttle((value: number) => seen.push(`fn ${value}`), 100, { host });
  fn(1);
  fn(2);
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.subscribe('t', ({ data }) => seen.push(`tide ${data}`));
  await host.settle();
  const first = FakeSocket.last;
  first.open();
  const unanswered = tide.publish('t', 1);

  for (const core of [localCore(), await connectionCore(undefined)]) {
    assert.throws(
      () => core.enter(() => core.calls.panic_on_purpose()),
      (error) =>
        error instanceof TidegateError && error.code === 'internal' && /unreachable/.test(error.message),
    );
  }
  await assert.rejects(unanswered, (error) => (error as TidegateError).code === 'internal');

  assert.equal(hub.publish('a', 2).offset, 1, 'the history of the old core is gone');
  fn(3);
  host.advance(100);
  await host.settle();
  assert.ok(first.closed, 'the connection starts afresh');
  assert.notEqual(FakeSocket.last, first);
  FakeSocket.last.open();
  const subscribe = FakeSocket.last.take().find(({ type }) => type === 'subscribe');
  assert.equal(subscribe?.['pattern'], 't');
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 't', position: { epoch: 7, offset: 0 }, recovered: false, flow: {} },
    { type: 'pub', topic: 't', epoch: 7, offset: 1, data: 1 },
  );
  assert.deepEqual(seen, ['hub 1', 'fn 1', 'hub 2', 'fn 3', 'tide 1']);
  tide.close();
});

test('a connection is given up when its core breaks again and again, but not when that is once in a while', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  await host.settle();
  const core = await connectionCore(undefined);
  const breakOften = async (times: number, everyMs: number): Promise<void> => {
    for (let nth = 0; nth < times; nth += 1) {
      assert.throws(() => core.enter(() => core.calls.panic_on_purpose()), { code: 'internal' });
      await host.settle();
      host.advance(everyMs);
    }
  };
  await breakOften(20, 60_000);
  assert.notEqual(tide.state.status, 'closed');
  await breakOften(8, 1_000);
  assert.notEqual(tide.state.status, 'closed');
  await breakOften(1, 0);
  assert.equal(tide.state.status, 'closed');
});

test('an error that the core has no part in leaves it as it is', async () => {
  const core = localCore();
  const { era } = core;
  for (const thrown of [new TypeError('no function'), 'a text', null, undefined]) {
    const call = (): never => {
      throw thrown;
    };
    assert.throws(() => core.enter(call), { name: 'TidegateError', code: 'internal' });
    assert.equal(core.era, era);
  }
  const overflow = (): number => overflow() + 1;
  assert.throws(() => core.enter(overflow), { code: 'internal' });
  assert.equal(core.era, era + 1);
});
