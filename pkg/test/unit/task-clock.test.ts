/** Clocks that cache their readings: they keep their bounds, and notice a replaced clock at once. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { systemHost } from '../../dist/host.js';
import { ceilingClock, floorClock, taskClock } from '../../dist/task-clock.js';

import { FakePlatform } from '../support/fake-platform.js';

const [floor, ceiling, task] = [floorClock, ceilingClock, taskClock].map((clock) => clock(systemHost)) as [
  () => number,
  () => number,
  () => number,
];

/** Replaces the dates and the clock, but not the timers, as tests of code that shows dates do. */
function standStillAt(t: TestContext, ms: number): void {
  const { Date: platformDate } = globalThis;
  class StoppedDate extends platformDate {
    static override now(): number {
      return 1_700_000_000_000;
    }
  }
  Object.assign(globalThis, { Date: StoppedDate });
  Object.defineProperty(performance, 'now', { value: () => ms, configurable: true });
  t.after(() => {
    Object.assign(globalThis, { Date: platformDate });
    Reflect.deleteProperty(performance, 'now');
  });
}

test('the bounds enclose the time, two milliseconds away at most', () => {
  for (let round = 0; round < 100_000; round += 1) {
    const [before, low, high, after] = [performance.now(), floor(), ceiling(), performance.now()];
    assert.ok(low <= after && before - low < 2, `at least ${low} at ${before}`);
    assert.ok(high >= before && high - after <= 2, `at most ${high} at ${after}`);
  }
});

test('one reading serves a task, which the next one does not get', async () => {
  const first = task();
  const calls = Array.from({ length: 50 }, task);
  assert.deepEqual(new Set(calls), new Set([first]));
  const later = await new Promise<number>((resolve) => setTimeout(() => resolve(task()), 2));
  assert.ok(later > first, `${later} after ${first}`);
});

for (const [what, replace] of [
  ['with the timers', (t: TestContext) => FakePlatform.install(t).advanceTo(7_000_000)],
  ['with the dates', (t: TestContext) => standStillAt(t, 7_000_000)],
] as const) {
  test(`a clock that is replaced ${what} counts at once, and so does the platform's after it`, async (t) => {
    await t.test('replaced', (within) => {
      for (const clock of [floor, ceiling, task]) {
        clock();
      }
      replace(within);
      assert.deepEqual([floor(), ceiling(), task()], [7_000_000, 7_000_000, 7_000_000]);
    });
    for (const clock of [floor, ceiling, task]) {
      assert.ok(Math.abs(clock() - performance.now()) < 1_000);
    }
  });
}

test('a replaced clock that moves on is followed within a millisecond of the dates', (t) => {
  standStillAt(t, 5_000);
  assert.deepEqual([floor(), ceiling(), task()], [5_000, 5_000, 5_000]);
  Object.defineProperty(performance, 'now', { value: () => 9_000, configurable: true });
  assert.deepEqual([floor(), ceiling(), task()], [9_000, 9_000, 9_000]);
});
