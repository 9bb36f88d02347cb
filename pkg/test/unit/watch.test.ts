import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, createHub, type Hub, TidegateError, type WatchOptions } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

function setUp(): { host: VirtualHost; hub: Hub } {
  const host = new VirtualHost();
  return { host, hub: createHub({ host }) };
}

/** Starts watching, runs `publish` before anything is read, and then reads to the end. */
async function readAll(options: WatchOptions, publish: (hub: Hub) => void): Promise<unknown[]> {
  const { hub, host } = setUp();
  const iterator = hub.watch('**', options);
  const first = iterator.next();
  hub.publish('start', 0);
  await first;
  publish(hub);
  await host.settle();
  hub.close();
  const seen: unknown[] = [];
  for await (const { topic, data } of iterator) {
    seen.push(topic === 'a' ? data : `${topic}${data}`);
  }
  return seen;
}

test('the loop ends by itself after the terminal update', async () => {
  const { hub } = setUp();
  const seen: unknown[] = [];
  const loop = (async () => {
    for await (const { data, end } of hub.watch<number>('job:1')) {
      seen.push(end ?? data);
    }
  })();
  hub.publish('job:1', 1);
  hub.publish('job:1', 2);
  hub.publish('job:1', 3, { end: 'cancelled' });
  await loop;
  assert.deepEqual(seen, [1, 2, 'cancelled']);
});

test('watching what has ended already gives its last update and is over', async () => {
  const { hub } = setUp();
  hub.publish('job:1', 'done', { end: 'complete' });
  const seen: unknown[] = [];
  for await (const update of hub.watch('job:1')) {
    seen.push(update.data);
  }
  assert.deepEqual(seen, ['done']);
});

test('it subscribes when it is first asked, and leaving the loop unsubscribes', async () => {
  const { hub, host } = setUp();
  hub.watch('a', { throttle: 1_000 });
  hub.publish('a', 1);
  assert.equal(host.armedMax, 1, 'only the retention of the topic is due');
  for await (const update of hub.watch('a')) {
    assert.equal(update.data, 1);
    break;
  }
  hub.publish('a', 2);
});

test('collecting yields arrays', async () => {
  const { hub, host } = setUp();
  const iterator = hub.watch<number>('a', { throttle: 10, leading: false, conflate: { collect: 5 } });
  const next = iterator.next();
  hub.publish('a', 1);
  hub.publish('a', 2);
  host.advance(10);
  const { value } = await next;
  assert.deepEqual(
    value?.map(({ data }) => data),
    [1, 2],
  );
});

test('overflow latest: every topic keeps its last value', async () => {
  const seen = await readAll({ buffer: 3 }, (hub) => {
    for (const value of [1, 2, 3, 4]) {
      hub.publish('a', value);
      hub.publish('b', value);
    }
  });
  assert.deepEqual(seen.slice(-2), [4, 'b4']);
  assert.equal(seen.length, 3);
});

test('overflow drop-oldest: the newest stay, and no terminal goes', async () => {
  const seen = await readAll({ buffer: 3, overflow: 'drop-oldest' }, (hub) => {
    hub.publish('b', 'end', { end: 'complete' });
    for (const value of [1, 2, 3, 4]) {
      hub.publish('a', value);
    }
  });
  assert.deepEqual(seen, ['bend', 3, 4]);
});

test('after a lost connection a loop gets all that was published meanwhile, as a handler does', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  const told: string[] = [];
  const events = { onLagged: () => told.push('lagged'), onReset: () => told.push('reset') };
  const looped: unknown[] = [];
  const handled: unknown[] = [];
  tide.subscribe('a', events, ({ data }) => handled.push(data));
  const loop = (async () => {
    for await (const { data } of tide.watch('a', events)) {
      looped.push(data);
    }
  })();
  const pub = (offset: number) => ({ type: 'pub', topic: 'a', epoch: 7, offset, data: offset });
  const subscribed = (offset: number) => ({
    type: 'subscribed',
    pattern: 'a',
    position: { epoch: 7, offset },
    recovered: offset > 0,
    flow: {},
  });
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.receive(subscribed(0), pub(1));
  await host.settle();
  FakeSocket.last.break();
  host.advance(1_000);
  FakeSocket.last.open();
  FakeSocket.last.receive(subscribed(1));
  // As much as one read from the socket brings, in messages of 64 frames.
  for (let first = 2; first <= 1_000; first += 64) {
    const count = Math.min(64, 1_001 - first);
    FakeSocket.last.receive(...Array.from({ length: count }, (_, nth) => pub(first + nth)));
  }
  await host.settle();
  tide.close();
  await loop;
  const all = Array.from({ length: 1_000 }, (_, nth) => nth + 1);
  assert.deepEqual(handled, all);
  assert.deepEqual(looped, all);
  assert.deepEqual(told, []);
});

test('what waits is bounded without a word of the loop, and what was dropped is told with the next update', async () => {
  const { hub } = setUp();
  const missed: number[] = [];
  const iterator = hub.watch<number>('**', { onLagged: (count) => missed.push(count) });
  const first = iterator.next();
  hub.publish('a', 0);
  await first;
  for (let value = 1; value <= 10_500; value += 1) {
    hub.publish('a', value);
  }
  hub.publish('b', 'done', { end: 'complete' });
  assert.deepEqual(missed, []);
  const second = await iterator.next();
  assert.equal(second.value?.data, 2, 'the end pushed the oldest out');
  assert.deepEqual(missed, [501]);
  hub.close();
  const rest: unknown[] = [];
  for await (const { data } of iterator) {
    rest.push(data);
  }
  assert.equal(rest.length, 9_999);
  assert.deepEqual(rest.slice(-3), [9_999, 10_500, 'done']);
  assert.deepEqual(missed, [501], 'nothing is told twice');
});

test('of arrays that were dropped all updates count, and a listener that throws stops nothing', async () => {
  const { hub, host } = setUp();
  const reported: unknown[] = [];
  const scope = globalThis as { reportError?: (error: unknown) => void };
  scope.reportError = (error) => reported.push(error);
  const iterator = hub.watch<number>('a', {
    throttle: 10,
    leading: false,
    conflate: { collect: 5 },
    buffer: 1,
    onLagged: (count) => {
      throw new Error(`missed ${count}`);
    },
  });
  const first = iterator.next();
  for (const value of [1, 2, 3, 4, 5, 6]) {
    hub.publish('a', value);
    hub.publish('a', -value);
    host.advance(10);
  }
  await first;
  const second = await iterator.next();
  delete scope.reportError;
  assert.deepEqual(
    second.value?.map(({ data }) => data),
    [6, -6],
  );
  assert.match(String(reported), /^Error: missed 8$/);
  hub.close();
});

test('overflow error: the iterator fails by code', async () => {
  const reading = readAll({ buffer: 2, overflow: 'error' }, (hub) => {
    for (const value of [1, 2, 3]) {
      hub.publish('a', value);
    }
  });
  await assert.rejects(reading, (error) => error instanceof TidegateError && error.code === 'overflow');
});

test('a pattern that is none fails the first next', async () => {
  const { hub } = setUp();
  await assert.rejects(hub.watch('a::b').next(), (error) => (error as TidegateError).code === 'bad_topic');
});

test('an aborted signal ends a loop that is behind before it reads any more', async () => {
  const { hub, host } = setUp();
  const controller = new AbortController();
  const iterator = hub.watch<number>('a', { signal: controller.signal });
  const first = iterator.next();
  for (let number = 1; number <= 100; number += 1) {
    hub.publish('a', number);
  }
  await host.settle();
  const seen = [(await first).value?.data];
  for await (const { data } of iterator) {
    seen.push(data);
    if (seen.length === 3) {
      controller.abort();
    }
  }
  assert.deepEqual(seen, [1, 2, 3]);
});

test('an aborted signal ends the loop', async () => {
  const { hub } = setUp();
  const controller = new AbortController();
  const iterator = hub.watch('a', { signal: controller.signal });
  const next = iterator.next();
  controller.abort();
  assert.deepEqual(await next, { done: true, value: undefined });
});
