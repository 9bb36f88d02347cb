/** What the types allow, and what they don't: the compiler checks it before these tests run. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  type CollectOptions,
  connect,
  createHub,
  type SubscribeOptions,
  type Subscription,
  throttle,
  type Update,
} from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const COLLECT = { conflate: { collect: 5 } } as const;

test('who gets arrays is told so by the types', () => {
  const host = new VirtualHost();
  const hub = createHub({ host });
  const seen: unknown[] = [];
  const one = ({ data }: Update<number>): unknown => seen.push(data);
  const many = (updates: readonly Update<number>[]): unknown => seen.push(updates.map(({ data }) => data));

  // @ts-expect-error: those are the options of a handler that gets arrays.
  const wrong: SubscribeOptions = COLLECT;
  // @ts-expect-error
  hub.subscribe('none', wrong as CollectOptions, one);
  // @ts-expect-error
  hub.subscribe('none', COLLECT, one);
  // @ts-expect-error
  hub.subscribe('none', { throttle: 100 }, many);
  const single = hub.subscribe('a', { throttle: 100 }, one);
  // @ts-expect-error: its handler gets single updates.
  const change = (): void => single.setFlow(COLLECT);
  assert.equal(typeof change, 'function');
  single.setFlow({ throttle: 50 });

  const options: CollectOptions = COLLECT;
  const collecting = hub.subscribe('a', options, many);
  collecting.setFlow({ conflate: { collect: 2 }, throttle: 100 });
  // @ts-expect-error: its handler gets arrays.
  const changeBack = (): void => collecting.setFlow({ throttle: 100 });
  assert.equal(typeof changeBack, 'function');
  const all: Subscription[] = [single, collecting];

  for (const data of [1, 2]) {
    hub.publish('a', data);
  }
  host.advance(100);
  assert.deepEqual(seen, [1, [1], 2, [2]]);
  for (const unsubscribe of all) {
    unsubscribe();
  }
  hub.close();
});

test('what is not known to be there may be passed on as undefined', async () => {
  const host = new VirtualHost();
  const maybe = new Map<string, never>();
  const [none, signal] = [maybe.get('option'), null];
  const hub = createHub({ host, history: none });
  const tide = connect('http://example.test', {
    host,
    WebSocket: FakeSocket,
    token: none,
    client: none,
    tabs: none,
    wasm: none,
    signal,
  });
  const seen: unknown[] = [];
  const flow = {
    throttle: none,
    debounce: none,
    maxWait: none,
    leading: none,
    trailing: none,
    conflate: none,
  };
  const events = { onEnd: none, onReset: none, onLagged: none, onError: none };
  const options = { ...flow, ...events, delta: none, latest: none, since: none, signal };
  hub.subscribe('a', options, ({ data }) => seen.push(data)).setFlow({ ...flow, delta: none });
  tide.subscribe('a', { ...options, durable: none, slow: none }, () => {});
  hub.publish('a', 1, { end: none, id: none, restart: none });
  tide.publish('a', 1, { end: none, id: none, restart: none, signal }).catch(() => {});
  tide.presence('a').onChange(() => {}, { signal, onError: none });
  tide.on('state', () => {}, { signal });
  throttle((data: unknown) => seen.push(data), 10, { host, leading: none, trailing: none, compat: none })(2);
  const updates = hub.watch('a', { ...options, buffer: none, overflow: none });
  assert.deepEqual((await updates.next()).value?.data, 1);
  await updates.return?.();
  assert.deepEqual(seen, [1, 2]);
  tide.close();
  hub.close();
});
