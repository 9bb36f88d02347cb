import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createHub, type Hub, TidegateError, type WatchOptions } from 'tidegate';

import { VirtualHost } from '../support/virtual-host.js';

function setUp(): { host: VirtualHost; hub: Hub } {
  const host = new VirtualHost();
  return { host, hub: createHub({ host }) };
}

/** Starts to watch, lets `publish` run before anything is read, and reads to the end. */
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

test('an aborted signal ends the loop', async () => {
  const { hub } = setUp();
  const controller = new AbortController();
  const iterator = hub.watch('a', { signal: controller.signal });
  const next = iterator.next();
  controller.abort();
  assert.deepEqual(await next, { done: true, value: undefined });
});
