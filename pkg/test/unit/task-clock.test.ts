/** Clocks that cache their readings: they keep their bounds, and notice a replaced clock at once. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { systemHost } from '../../dist/host.js';
import { ceilingClock, taskClock } from '../../dist/task-clock.js';

import { FakePlatform } from '../support/fake-platform.js';

const ceiling = ceilingClock(systemHost);
const task = taskClock(systemHost);

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

test('the bound is not before the time, and two milliseconds after it at most', () => {
  for (let round = 0; round < 100_000; round += 1) {
    const [before, bound, after] = [performance.now(), ceiling(), performance.now()];
    assert.ok(bound >= before && bound - after <= 2, `${bound} at ${before}`);
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
      for (const clock of [ceiling, task]) {
        clock();
      }
      replace(within);
      assert.deepEqual([ceiling(), task()], [7_000_000, 7_000_000]);
    });
    for (const clock of [ceiling, task]) {
      assert.ok(Math.abs(clock() - performance.now()) < 1_000);
    }
  });
}

test('a replaced clock that moves on is followed within a millisecond of the dates', (t) => {
  standStillAt(t, 5_000);
  assert.deepEqual([ceiling(), task()], [5_000, 5_000]);
  Object.defineProperty(performance, 'now', { value: () => 9_000, configurable: true });
  assert.deepEqual([ceiling(), task()], [9_000, 9_000]);
});
