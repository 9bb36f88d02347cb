/** Wrong arguments, which JavaScript can't prevent: they are refused with a clear error, and do no harm. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import {
  connect,
  createHub,
  type Hub,
  type Subscriber,
  type Tide,
  type TidegateError,
  throttle,
} from 'tidegate';

import { connectionCore, localCore } from '../../dist/engine.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

// biome-ignore lint/suspicious/noExplicitAny: these arguments are exactly what the types don't allow
type Anything = any;

const EPOCH = { topic: 'a', epoch: 7, offset: 1 };

/** Options of a subscription, each with the code of the expected error. */
const WRONG_OPTIONS: readonly (readonly [options: Anything, code: string])[] = [
  [{ since: [undefined] }, 'bad_option'],
  [{ since: [null] }, 'bad_option'],
  [{ since: 'a' }, 'bad_option'],
  [{ since: { epoch: 7, offset: 1 } }, 'bad_option'],
  [{ since: { ...EPOCH, topic: Symbol('a') } }, 'bad_option'],
  [{ since: { ...EPOCH, epoch: '7' } }, 'bad_option'],
  [{ since: { ...EPOCH, epoch: Number.NaN } }, 'bad_option'],
  [{ since: [EPOCH, { ...EPOCH, offset: -1 }] }, 'bad_option'],
  [{ since: { ...EPOCH, topic: 'a b' } }, 'bad_topic'],
  [{ signal: new AbortController() }, 'bad_option'],
  [{ conflate: null }, 'bad_option'],
  [{ conflate: {} }, 'bad_option'],
  [{ conflate: { collect: 1.5 } }, 'bad_option'],
  [{ conflate: { collect: '5' } }, 'bad_option'],
  [{ conflate: 'newest' }, 'bad_option'],
  [{ throttle: 100, leading: 'no' }, 'bad_option'],
  [{ throttle: 100, trailing: 0 }, 'bad_option'],
  [{ delta: 'yes' }, 'bad_option'],
];

const WRONG_TOPICS: readonly Anything[] = [undefined, null, 5, Symbol('a'), ['a'], { topic: 'a' }, 'a b', ''];

/** A connection and a hub; their cores must not be restarted during the test. */
async function setUp(t: TestContext): Promise<{ host: VirtualHost; hub: Hub; tide: Tide }> {
  const host = new VirtualHost();
  const hub = createHub({ host });
  hub.publish('a', 'kept');
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.on('error', assert.ifError);
  await host.settle();
  const socket = FakeSocket.last;
  socket.open();
  const cores = [localCore(), await connectionCore(undefined)];
  const eras = cores.map(({ era }) => era);
  t.after(async () => {
    await host.settle();
    assert.deepEqual(
      cores.map(({ era }) => era),
      eras,
      'no core has broken',
    );
    assert.equal(socket.closed, false);
    let latest: unknown;
    hub.subscribe('a', ({ data }) => {
      latest = data;
    });
    await host.settle();
    assert.equal(latest, 'kept');
    tide.close();
    hub.close();
  });
  return { host, hub, tide };
}

test('a subscription with wrong options is refused, and there is none', async (t) => {
  const { host, hub, tide } = await setUp(t);
  for (const subscriber of [hub, tide] as Subscriber[]) {
    for (const [options, code] of WRONG_OPTIONS) {
      assert.throws(() => subscriber.subscribe('a', options, () => {}), { name: 'TidegateError', code });
    }
    for (const topic of WRONG_TOPICS) {
      const refused = { name: 'TidegateError', code: 'bad_topic' };
      assert.throws(() => subscriber.subscribe(topic, () => {}), refused);
    }
  }
  assert.throws(() => tide.subscribe('a', { durable: 5 } as Anything, () => {}), { code: 'bad_option' });
  assert.throws(() => hub.subscribe('a', () => {}).setFlow({ leading: 1 } as Anything), {
    code: 'bad_option',
  });
  await host.settle();
  const asked = FakeSocket.last.take().filter(({ type }) => type === 'subscribe');
  assert.deepEqual(asked, []);
});

test('options that are null are not given', async (t) => {
  const { host, hub, tide } = await setUp(t);
  const seen: unknown[] = [];
  for (const options of [{ since: null }, { signal: null }, null, undefined] as Anything[]) {
    hub.subscribe('a', options, ({ data }: Anything) => seen.push(data));
    tide.subscribe('a', options, () => {});
  }
  throttle(() => seen.push('called'), '1s', null as Anything)();
  await host.settle();
  assert.deepEqual(seen, ['called', 'kept', 'kept', 'kept', 'kept']);
  const asked = FakeSocket.last.take().filter(({ type }) => type === 'subscribe');
  assert.deepEqual(asked, [{ type: 'subscribe', pattern: 'a' }]);
});

test('a publish with a wrong end, id or topic is refused; one with null of them is one without', async (t) => {
  const { host, hub, tide } = await setUp(t);
  const wrong: readonly Anything[] = [
    { end: 'completed' },
    { end: true },
    { id: 7 },
    { id: Symbol('id') },
    { id: {} },
  ];
  for (const options of wrong) {
    assert.throws(() => hub.publish('b', 1, options), { name: 'TidegateError', code: 'bad_option' });
    await assert.rejects(tide.publish('b', 1, options), { name: 'TidegateError', code: 'bad_option' });
  }
  for (const topic of WRONG_TOPICS) {
    assert.throws(() => hub.publish(topic, 1), { name: 'TidegateError', code: 'bad_topic' });
    await assert.rejects(tide.publish(topic, 1), { name: 'TidegateError', code: 'bad_topic' });
  }
  const none = { end: null, id: null } as Anything;
  const offsets = [1, 2].map((data) => hub.publish('b', data, none).offset);
  assert.deepEqual(offsets, [1, 2]);
  FakeSocket.last.take();
  void tide.publish('b', 1, none);
  void tide.publish('b', 1, null as Anything);
  await host.settle();
  const [first, second] = FakeSocket.last.take();
  assert.deepEqual({ ...second, ref: first!['ref'], id: first!['id'] }, first);
  assert.notEqual(first!['id'], second!['id']);
});

test('a presence with a wrong key or topic is refused', async (t) => {
  const { tide } = await setUp(t);
  for (const key of [undefined, null, 5, Symbol('me'), '']) {
    assert.throws(() => tide.presence('a').track(key as Anything, {}), { code: 'bad_option' });
  }
  for (const topic of WRONG_TOPICS) {
    assert.throws(() => tide.presence(topic).track('me', {}), { code: 'bad_topic' });
    assert.throws(() => tide.presence(topic).onChange(() => {}), { code: 'bad_topic' });
  }
});

test('a connection with wrong options is refused', () => {
  const wrong: readonly Anything[] = [
    { tabs: 'work' },
    { token: Promise.resolve('token') },
    { token: 5 },
    { client: 5 },
    { signal: {} },
  ];
  for (const options of wrong) {
    assert.throws(() => connect('http://example.test', { WebSocket: FakeSocket, ...options }), {
      name: 'TidegateError',
      code: 'bad_option',
    });
  }
});

test('an address is relative to the base of the page', async (t) => {
  const page = globalThis as { document?: unknown };
  page.document = { baseURI: 'https://example.test/app/' };
  t.after(() => delete page.document);
  const host = new VirtualHost();
  const tide = connect('live', { host, WebSocket: FakeSocket, tabs: 'off' });
  t.after(() => tide.close());
  tide.subscribe('a', () => {});
  await host.settle();
  assert.equal(FakeSocket.last.url, 'wss://example.test/app/live/ws');
});

test('an iterator with a wrong signal or overflow is refused at once, and so is a listener that is no function', async (t) => {
  const { hub, tide } = await setUp(t);
  for (const options of [{ signal: {} }, { overflow: 'dropOldest' }] as Anything[]) {
    assert.throws(() => hub.watch('a', options), { name: 'TidegateError', code: 'bad_option' });
  }
  hub.watch('a', { overflow: null } as Anything);
  for (const listener of [undefined, null, {}] as Anything[]) {
    assert.throws(() => tide.on('state', listener), { code: 'bad_option' });
  }
  assert.throws(() => tide.on('state', () => {}, { signal: {} as AbortSignal }), { code: 'bad_option' });
});

test('what has no JSON form is not published, and undefined is null', async (t) => {
  const { host, hub, tide } = await setUp(t);
  for (const data of [() => {}, Symbol('a'), 5n]) {
    await assert.rejects(tide.publish('b', data), { code: 'bad_data' });
  }
  FakeSocket.last.take();
  void tide.publish('b', undefined);
  await host.settle();
  assert.equal(FakeSocket.last.take()[0]!['data'], null);
  const seen: unknown[] = [];
  hub.subscribe('b', ({ data }) => seen.push(data));
  hub.publish('b', undefined);
  assert.deepEqual(seen, [null]);
});

test('what a payload throws when it is read is reported, and the newer one stands for both', async (t) => {
  const { host, hub } = await setUp(t);
  const reported: unknown[] = [];
  const scope = globalThis as { reportError?: (error: unknown) => void };
  scope.reportError = (error) => reported.push((error as Error).message);
  t.after(() => {
    delete scope.reportError;
  });
  for (const conflate of ['sum', 'merge'] as const) {
    const seen: Anything[] = [];
    const unsubscribe = hub.subscribe('b', { throttle: 100, conflate, latest: false }, ({ data }) =>
      seen.push(data),
    );
    for (const n of [1, 2, 3]) {
      hub.publish('b', {
        n,
        get odd() {
          throw new Error(`${conflate} ${n}`);
        },
      });
    }
    host.advance(100);
    await host.settle();
    assert.deepEqual(
      seen.map(({ n }) => n),
      [1, 3],
    );
    unsubscribe();
    host.advance(1_000);
  }
  assert.equal(reported.length, 2);
});

test('what only the core finds wrong is told to onError while a connection loads it, and thrown from then on', async (t) => {
  const host = new VirtualHost();
  const scope = globalThis as { WebSocket?: unknown };
  const own = scope.WebSocket;
  scope.WebSocket = FakeSocket;
  t.after(() => {
    scope.WebSocket = own;
  });
  const tide = connect('http://example.test', { host });
  const told: unknown[] = [];
  const onError = (error: Error): unknown => told.push((error as TidegateError).code);
  tide.subscribe('a b', { onError }, () => {});
  tide.subscribe('a', { onError, since: { ...EPOCH, topic: 'a b' } }, () => {});
  const paced = tide.subscribe('a', { onError }, () => {});
  paced.setFlow({ throttle: 0 });
  tide.presence('a b').track('me', {}, { onError });
  const sound = tide.subscribe('a', { onError }, () => {});
  await host.settle();
  assert.deepEqual(told.toSorted(), ['bad_flow', 'bad_topic', 'bad_topic', 'bad_topic']);
  assert.deepEqual([paced.active, sound.active], [false, true]);
  assert.throws(() => tide.subscribe('a b', () => {}), { code: 'bad_topic' });
  assert.throws(() => sound.setFlow({ throttle: 0 }), { code: 'bad_flow' });
  assert.equal(sound.active, true);
  tide.close();
});

test('who is to be called, if it is no function, is refused by code', async (t) => {
  const { hub, tide } = await setUp(t);
  for (const handler of [undefined, null, 'log', {}] as Anything[]) {
    for (const wrong of [
      () => hub.subscribe('a', {}, handler),
      () => tide.subscribe('a', {}, handler),
      () => tide.on('state', handler),
      () => tide.presence('a').onChange(handler),
      () => throttle(handler, 100),
    ]) {
      assert.throws(wrong, { name: 'TidegateError', code: 'bad_option', message: /: give a function/ });
    }
  }
});

test('an address that is relative to nothing is refused with what to give', () => {
  assert.throws(() => connect('/'), { code: 'bad_option', message: /outside of a page, give a whole one/ });
});
