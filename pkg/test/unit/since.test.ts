/** Where a subscription with `since` starts, as described in the README. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createHub, type Hub, type SubscribeOptions, type TopicPosition } from 'tidegate';

import { VirtualHost } from '../support/virtual-host.js';

function setUp(history: number): { host: VirtualHost; hub: Hub } {
  const host = new VirtualHost();
  const hub = createHub({ host, history });
  for (let n = 1; n <= 5; n += 1) {
    hub.publish('log:1', n);
    hub.publish('log:2', n * 10);
  }
  return { host, hub };
}

/** The first events of a subscription, including resets. */
async function first(
  { host, hub }: ReturnType<typeof setUp>,
  pattern: string,
  options: SubscribeOptions,
): Promise<unknown[]> {
  const seen: unknown[] = [];
  const onReset = ({ topic }: TopicPosition): unknown => seen.push(`reset ${topic}`);
  hub.subscribe(pattern, { ...options, onReset }, ({ data }) => seen.push(data));
  await host.settle();
  return seen;
}

test('without a position, a topic starts with its latest, and those of a pattern with all of what is all kept', async () => {
  const whole = setUp(5);
  assert.deepEqual(await first(whole, 'log:1', { since: [] }), [5]);
  const all = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50];
  assert.deepEqual(await first(whole, 'log:*', { since: [] }), all);
  whole.hub.close();

  const partly = setUp(3);
  assert.deepEqual(await first(partly, 'log:1', { since: [] }), [5]);
  const latest = ['reset log:1', 5, 'reset log:2', 50];
  assert.deepEqual(await first(partly, 'log:*', { since: [] }), latest);
  partly.hub.close();
});

test('the last ones that are kept come after a position that lies as far back', async () => {
  const { host, hub } = setUp(3);
  let latest!: TopicPosition;
  hub.subscribe('log:1', (update) => {
    latest = update;
  });
  await host.settle();
  for (const [count, expected] of [
    [0, []],
    [2, [4, 5]],
    [3, [3, 4, 5]],
    [4, ['reset log:1', 5]],
  ] as const) {
    const since = { ...latest, offset: latest.offset - count };
    assert.deepEqual(await first({ host, hub }, 'log:1', { since }), expected);
  }
  hub.close();
});
