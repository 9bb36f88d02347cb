/** A connection against a scripted server, in virtual time. Against the real one: `browser/`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type ConnectOptions, connect, type Tide, TidegateError, type Update } from 'tidegate';

import { slotsInUse } from '../../dist/engine.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

async function setUp(options: ConnectOptions = {}): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test/base', { host, WebSocket: FakeSocket, ...options });
  await host.settle();
  return { host, tide };
}

const withCode = (code: string) => (error: unknown) => error instanceof TidegateError && error.code === code;

const pub = (topic: string, offset: number, data: unknown, more: object = {}) => ({
  type: 'pub',
  topic,
  epoch: 7,
  offset,
  data,
  ...more,
});

test('it opens the WebSocket below the base address, with the subprotocol', async () => {
  for (const [url, expected] of [
    ['http://example.test', 'ws://example.test/ws'],
    ['https://example.test/base/', 'wss://example.test/base/ws'],
    ['ws://example.test:8420/ws?x=1', 'ws://example.test:8420/ws?x=1'],
  ] as const) {
    const host = new VirtualHost();
    const tide = connect(url, { host, WebSocket: FakeSocket });
    await host.settle();
    assert.equal(FakeSocket.last.url, expected);
    assert.equal(FakeSocket.last.protocol, 'tidegate.v1.json');
    tide.close();
  }
  assert.throws(() => connect('ftp://example.test'), withCode('bad_option'));
  assert.throws(() => connect('/relative'), withCode('bad_option'));
});

test('what is subscribed before the connection stands is asked for when it does', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, token: 't', client: 'c' });
  const seen: Update[] = [];
  tide.subscribe('job:42', { throttle: '1s' }, (update) => seen.push(update));
  await host.settle();
  FakeSocket.last.open();
  const [hello, subscribe] = FakeSocket.last.take();
  assert.deepEqual(hello, { type: 'hello', token: 't', client: 'c' });
  assert.equal(subscribe?.['type'], 'subscribe');
  assert.equal(subscribe?.['pattern'], 'job:42');
  assert.deepEqual(subscribe?.['flow'], { throttle_ms: 1_000, leading: true, trailing: true });
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'job:42', position: { epoch: 7, offset: 1 }, recovered: false, flow: {} },
    pub('job:42', 1, { progress: 0.5 }),
  );
  assert.deepEqual(seen, [{ topic: 'job:42', data: { progress: 0.5 }, epoch: 7, offset: 1 }]);
  tide.close();
});

test('states are told in order, and can be asked for', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  const states: string[] = [tide.state.status];
  const off = tide.on('state', (state) => states.push(state.status));
  tide.subscribe('a', () => {});
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.break();
  host.advance(250);
  FakeSocket.last.open();
  off();
  tide.close();
  assert.deepEqual(
    states.filter((state, index) => state !== states[index - 1]),
    ['connecting', 'connected', 'disconnected', 'connecting', 'connected'],
  );
  assert.equal(tide.state.status, 'closed');
});

test('a server out of touch with its topics is a state of its own', async () => {
  const { tide } = await setUp();
  const states: string[] = [];
  tide.on('state', (state) => states.push(state.status));
  tide.subscribe('a', () => {});
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'stale' });
  FakeSocket.last.receive({ type: 'live' });
  assert.deepEqual(states.slice(-3), ['connected', 'stale', 'connected']);
  tide.close();
});

test('after a lost connection it subscribes again from where it was, and nothing comes twice', async () => {
  const { host, tide } = await setUp();
  const seen: unknown[] = [];
  tide.subscribe('a', ({ data }) => seen.push(data));
  FakeSocket.last.open();
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'a', position: { epoch: 7, offset: 4 }, recovered: false, flow: {} },
    pub('a', 5, 'five'),
  );
  const lost = FakeSocket.last;
  lost.break();
  host.advance(250);
  assert.notEqual(FakeSocket.last, lost);
  FakeSocket.last.open();
  const again = FakeSocket.last.take().find(({ type }) => type === 'subscribe');
  assert.deepEqual(again?.['since'], [{ topic: 'a', epoch: 7, offset: 5 }]);
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'a', position: { epoch: 7, offset: 6 }, recovered: true, flow: {} },
    pub('a', 5, 'five'),
    pub('a', 6, 'six'),
  );
  lost.receive(pub('a', 7, 'from the dead socket'));
  assert.deepEqual(seen, ['five', 'six']);
  tide.close();
});

test('a batch, a reset, a lag and an end reach the handlers of the subscription', async () => {
  const { tide } = await setUp();
  const seen: unknown[] = [];
  tide.subscribe(
    'a',
    {
      throttle: 100,
      conflate: { collect: 10 },
      onReset: (at) => seen.push(at),
      onLagged: (missed) => seen.push(missed),
      onEnd: (reason) => seen.push(reason),
    },
    (updates) => seen.push(updates.map(({ data }) => data)),
  );
  FakeSocket.last.open();
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'a', position: { epoch: 7, offset: 0 }, recovered: false, flow: {} },
    { type: 'batch', items: [pub('a', 1, 1), pub('a', 2, 2)] },
    { type: 'lagged', pattern: 'a', missed: 3 },
    { type: 'reset', topic: 'a', epoch: 8, offset: 9 },
    { ...pub('a', 10, 'last', { end: 'complete' }), epoch: 8 },
    { type: 'end', pattern: 'a', reason: 'complete' },
  );
  assert.deepEqual(seen, [[1, 2], 3, { topic: 'a', epoch: 8, offset: 9 }, ['last'], 'complete']);
  tide.close();
});

test('publications by a wildcard pattern are for that subscription', async () => {
  const { tide } = await setUp();
  const seen: unknown[] = [];
  tide.subscribe('job:**', ({ topic, data }) => seen.push([topic, data]));
  FakeSocket.last.open();
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'job:**', recovered: false, flow: {} },
    pub('job:1', 1, 'x', { via: 'job:**' }),
    pub('job:2', 1, 'y', { via: 'job:**' }),
    pub('job:3', 1, 'z'),
  );
  assert.deepEqual(seen, [
    ['job:1', 'x'],
    ['job:2', 'y'],
  ]);
  tide.close();
});

test('a publish resolves with its position or rejects with the code of the server', async () => {
  const { tide } = await setUp();
  FakeSocket.last.open();
  FakeSocket.last.take();
  const first = tide.publish('a', { n: 1 }, { end: 'complete' });
  const second = tide.publish('a', undefined);
  const [one, two] = FakeSocket.last.take();
  assert.deepEqual(
    { ...one, id: undefined, ref: undefined },
    {
      type: 'publish',
      topic: 'a',
      end: 'complete',
      data: { n: 1 },
      id: undefined,
      ref: undefined,
    },
  );
  assert.equal(two?.['data'], null);
  FakeSocket.last.receive(
    { type: 'published', ref: one?.['ref'], epoch: 7, offset: 1 },
    { type: 'error', code: 'topic_ended', message: 'over', ref: two?.['ref'] },
  );
  assert.deepEqual(await first, { epoch: 7, offset: 1 });
  await assert.rejects(second, withCode('topic_ended'));
  tide.close();
});

test('a publish can be given up, and fails by code for a topic or data that is none', async () => {
  const { tide } = await setUp();
  FakeSocket.last.open();
  const controller = new AbortController();
  const publish = tide.publish('a', 1, { signal: controller.signal });
  controller.abort();
  await assert.rejects(publish, withCode('aborted'));
  await assert.rejects(tide.publish('a::b', 1), withCode('bad_topic'));
  const circular: { self?: unknown } = {};
  circular.self = circular;
  await assert.rejects(tide.publish('a', circular), withCode('bad_data'));
  tide.close();
});

test('what the server refuses is over, and says why', async () => {
  const { tide } = await setUp();
  const errors: unknown[] = [];
  const subscription = tide.subscribe('secret', { onError: (error) => errors.push(error) }, () => {});
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'error', code: 'forbidden', message: 'no', pattern: 'secret' });
  assert.ok(withCode('forbidden')(errors[0]));
  assert.equal(subscription.active, false);
  tide.close();
});

test('a fatal refusal closes the connection with its reason', async () => {
  const { tide } = await setUp();
  tide.subscribe('a', { onError: () => {} }, () => {});
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'error', code: 'forbidden', message: 'no', fatal: true });
  assert.equal(tide.state.status, 'closed');
  assert.ok(tide.state.status === 'closed' && withCode('forbidden')(tide.state.error));
  assert.ok(FakeSocket.last.closed);
  assert.throws(() => tide.subscribe('a', () => {}), withCode('closed'));
  await assert.rejects(tide.publish('a', 1), withCode('closed'));
});

test('nonsense from the server is an event and stops nothing', async () => {
  const { tide } = await setUp();
  const codes: string[] = [];
  tide.on('error', (error) => codes.push(error.code));
  const seen: unknown[] = [];
  tide.subscribe('a', ({ data }) => seen.push(data));
  FakeSocket.last.open();
  FakeSocket.last.receiveText('{');
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'a', position: { epoch: 7, offset: 0 }, recovered: false, flow: {} },
    { type: 'pub', topic: 'a', epoch: 7, offset: 0.5, data: 1 },
    { type: 'batch', items: [pub('a', 1, 'in a bad batch'), pub('a::b', 1, 'bad')] },
    { type: 'news', from: 'the future' },
    pub('a', 1, 'sound'),
  );
  assert.deepEqual(codes, ['bad_frame', 'bad_frame', 'bad_topic', 'bad_frame']);
  assert.deepEqual(seen, ['sound']);
  tide.close();
});

test('closing ends iterators, rejects publishes, disarms the timer and calls nobody', async () => {
  const { host, tide } = await setUp();
  const next = tide.watch('a').next();
  const publish = tide.publish('a', 1);
  let calls = 0;
  tide.subscribe('b', { onError: () => calls++, onEnd: () => calls++ }, () => calls++);
  FakeSocket.last.open();
  tide.close();
  tide.close();
  assert.deepEqual(await next, { done: true, value: undefined });
  await assert.rejects(publish, TidegateError);
  assert.equal(calls, 0);
  assert.equal(host.armed, 0);
  assert.ok(FakeSocket.last.closed);
});

test('silence is probed, and ends the connection if nobody answers', async () => {
  const { host, tide } = await setUp();
  tide.subscribe('a', () => {});
  FakeSocket.last.open();
  FakeSocket.last.take();
  const silent = FakeSocket.last;
  host.advance(40_000);
  assert.deepEqual(silent.take(), [{ type: 'ping' }]);
  host.advance(10_000);
  assert.ok(silent.closed);
  assert.equal(host.armedMax, 1);
  tide.close();
});

test('a hundred thousand publications leave no slot in use', async () => {
  const { tide } = await setUp();
  const before = slotsInUse();
  let seen = 0;
  const unsubscribe = tide.subscribe('a', { conflate: 'latest' }, () => seen++);
  FakeSocket.last.open();
  FakeSocket.last.receive({
    type: 'subscribed',
    pattern: 'a',
    position: { epoch: 7, offset: 0 },
    recovered: false,
    flow: {},
  });
  for (let offset = 1; offset <= 100_000; offset += 100) {
    FakeSocket.last.receive(
      ...Array.from({ length: 100 }, (_, index) => pub('a', offset + index, { index })),
    );
  }
  assert.equal(seen, 100_000);
  unsubscribe();
  assert.equal(slotsInUse(), before);
  tide.close();
});
