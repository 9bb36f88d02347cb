/** Pacing by frames, with frames that the test draws. In a browser: `browser/frame.test.ts`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, createHub, TidegateError, throttle, type Update } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { ScreenHost, VirtualHost } from '../support/virtual-host.js';

test('one update per topic and frame: the first at once, then the newest with each frame', () => {
  const host = new ScreenHost();
  const hub = createHub({ host });
  const seen: string[] = [];
  hub.subscribe<number>('*', { throttle: 'frame' }, ({ topic, data }) => seen.push(`${topic}${data}`));
  for (const n of [1, 2, 3]) {
    hub.publish('a', n);
    hub.publish('b', n);
  }
  assert.deepEqual(seen.splice(0), ['a1', 'b1']);
  host.advance(1_000);
  hub.publish('a', 4);
  assert.deepEqual(seen, [], 'time alone lets nothing through');
  host.draw();
  assert.deepEqual(seen.splice(0).sort(), ['a4', 'b3']);
  hub.publish('a', 5);
  assert.deepEqual(seen, [], 'this frame had its update');
  host.draw();
  assert.deepEqual(seen.splice(0), ['a5']);
  host.draw();
  assert.equal(host.isAsked, false, 'no frame is asked for while nothing waits');
  hub.publish('a', 6);
  assert.deepEqual(seen.splice(0), ['a6']);
  hub.close();
  assert.equal(host.isAsked, false);
});

test('a terminal does not wait for a frame, and what was pending goes first', () => {
  const host = new ScreenHost();
  const hub = createHub({ host });
  const seen: unknown[] = [];
  hub.subscribe('a', { throttle: 'frame', onEnd: (reason) => seen.push(reason) }, ({ data }) =>
    seen.push(data),
  );
  hub.publish('a', 1);
  hub.publish('a', 2);
  hub.publish('a', 3, { end: 'complete' });
  assert.deepEqual(seen, [1, 2, 3, 'complete']);
  hub.close();
});

test('conflations hold by frames, too', () => {
  const host = new ScreenHost();
  const hub = createHub({ host });
  const seen: unknown[] = [];
  hub.subscribe<object>('a', { throttle: 'frame', conflate: 'sum' }, ({ data }) => seen.push(data));
  hub.subscribe('a', { throttle: 'frame', conflate: { collect: 10 } }, (updates) =>
    seen.push((updates as readonly Update[]).map(({ data }) => data)),
  );
  hub.publish('a', { n: 1 });
  seen.length = 0;
  hub.publish('a', { n: 2 });
  hub.publish('a', { n: 3 });
  host.draw();
  assert.deepEqual(seen, [{ n: 5 }, [{ n: 2 }, { n: 3 }]]);
  hub.close();
});

test('a subscription ends, and another begins with the latest value', () => {
  const host = new ScreenHost();
  const hub = createHub({ host });
  const seen: unknown[] = [];
  hub.publish('a', 1);
  const first = hub.subscribe('a', { throttle: 'frame' }, ({ data }) => seen.push(`first ${data}`));
  hub.subscribe('a', { throttle: 'frame' }, ({ data }) => seen.push(`second ${data}`));
  hub.subscribe('a', ({ data }) => seen.push(`each ${data}`));
  return host.settle().then(() => {
    assert.deepEqual(seen.splice(0).sort(), ['each 1', 'first 1', 'second 1']);
    hub.publish('a', 2);
    first();
    host.draw();
    assert.deepEqual(seen.splice(0), ['each 2', 'second 2']);
    hub.close();
  });
});

test('the pace can not change between time and frames', () => {
  const hub = createHub({ host: new ScreenHost() });
  const flow = hub.subscribe('a', { throttle: 'frame' }, () => {});
  const isBadFlow = (error: unknown): boolean => error instanceof TidegateError && error.code === 'bad_flow';
  assert.throws(() => flow.setFlow({ throttle: '1s' }), isBadFlow);
  flow.setFlow({ throttle: 'frame', conflate: 'sum' });
  assert.throws(() => hub.subscribe('a', () => {}).setFlow({ throttle: 'frame' }), isBadFlow);
  hub.close();
});

test('a server is asked for 16 ms, and the frame decides here; a host without frames takes 16 ms', async () => {
  for (const host of [new ScreenHost(), new VirtualHost()]) {
    const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
    const seen: unknown[] = [];
    tide.subscribe('a', { throttle: 'frame' }, ({ data }) => seen.push(data));
    await host.settle();
    FakeSocket.last.open();
    const subscribe = FakeSocket.last.take()[1];
    assert.deepEqual(subscribe?.['flow'], { throttle_ms: 16, leading: true, trailing: true });
    const pub = (offset: number, more: object = {}) => ({
      type: 'pub',
      topic: 'a',
      epoch: 7,
      offset,
      data: offset,
      ...more,
    });
    FakeSocket.last.receive({ type: 'subscribed', pattern: 'a', recovered: false, flow: {} }, pub(1));
    host.advance(15);
    FakeSocket.last.receive(pub(2));
    assert.deepEqual(seen, [1]);
    host.advance(16);
    if (host instanceof ScreenHost) {
      assert.deepEqual(seen, [1]);
      host.draw();
    }
    assert.deepEqual(seen, [1, 2]);
    FakeSocket.last.receive(pub(3), pub(4, { end: 'failed' }), {
      type: 'end',
      pattern: 'a',
      reason: 'failed',
    });
    assert.deepEqual(seen, [1, 2, 3, 4]);
    tide.close();
  }
});

test('a function is called once per frame', () => {
  const host = new ScreenHost();
  const seen: number[] = [];
  const draw = throttle((n: number) => seen.push(n), 'frame', { host });
  draw(1);
  draw(2);
  draw(3);
  assert.deepEqual(seen, [1]);
  host.draw();
  assert.deepEqual(seen, [1, 3]);
  host.draw();
  draw(4);
  draw(5);
  assert.deepEqual(draw.pending(), true);
  draw.cancel();
  host.draw();
  assert.deepEqual(seen, [1, 3, 4]);
});
