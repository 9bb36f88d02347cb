// Uses the installed package as its users do: only by its name and its types.
import assert from 'node:assert/strict';
import test from 'node:test';

import { createHub, type EndReason, ready, throttle, type Update } from 'tidegate';

interface Job {
  readonly done: number;
}

test('a hub delivers what was published, up to the end', async () => {
  await ready();
  using hub = createHub();
  const seen: number[] = [];
  const ends: EndReason[] = [];
  hub.subscribe<Job>('job:1', { onEnd: (reason) => ends.push(reason) }, (update: Update<Job>) => {
    seen.push(update.data.done);
  });
  hub.publish('job:1', { done: 1 });
  hub.publish('job:1', { done: 2 }, { end: 'complete' });
  assert.deepEqual(seen, [1, 2]);
  assert.deepEqual(ends, ['complete']);
});

test('a throttled function holds calls back and flushes the last', () => {
  const seen: number[] = [];
  const call = throttle((value: number) => seen.push(value), 60_000);
  call(1);
  call(2);
  call(3);
  call.flush();
  call.cancel();
  assert.deepEqual(seen, [1, 3]);
});

test('the package tells where its module is', async () => {
  const url = import.meta.resolve('tidegate/tidegate_bg.wasm');
  assert.match(url, /\/tidegate_bg\.wasm$/);
});
