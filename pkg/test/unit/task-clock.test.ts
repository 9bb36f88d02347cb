/** Clocks that cache their readings: they keep their bounds, and notice a replaced clock at once. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { systemHost } from '../../dist/host.js';
import { ceilingClock, taskClock } from '../../dist/task-clock.js';

import { FakePlatform } from '../support/fake-platform.js';

const ceiling = ceilingClock(systemHost);
const task = taskClock(systemHost);

/** Replaces the dates and the clock, but not the timers, as tests of code that shows dates do. Returns how to set the clock. */
function standStill(t: TestContext): (ms: number) => void {
  const { Date: platformDate } = globalThis;
  class StoppedDate extends platformDate {
    static override now(): number {
      return 1_700_000_000_000;
    }
  }
  let now = 7_000_000;
  Object.assign(globalThis, { Date: StoppedDate });
  Object.defineProperty(performance, 'now', { value: () => now, configurable: true });
  t.after(() => {
    Object.assign(globalThis, { Date: platformDate });
    Reflect.deleteProperty(performance, 'now');
  });
  return (ms) => {
    now = ms;
  };
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
  ['with the timers', (t: TestContext) => FakePlatform.install(t)],
  [
    'with the dates',
    (t: TestContext) => {
      const advanceTo = standStill(t);
      return { advanceTo };
    },
  ],
] as const) {
  test(`a clock that is replaced ${what} counts at once, and so does the platform's after it`, async (t) => {
    await t.test('replaced', (within) => {
      const before = [ceiling(), task()];
      const platform = replace(within);
      platform.advanceTo(7_000_000);
      const [from, own] = [ceiling(), task()];
      assert.equal(from, own, 'the clocks of tests are told as they are');
      assert.ok(
        before.every((ms) => from >= ms - 2),
        `${from} goes on from ${before}`,
      );
      for (const passed of [1, 50, 9_000]) {
        platform.advanceTo(7_000_000 + passed);
        assert.deepEqual([ceiling(), task()], [from + passed, from + passed]);
      }
    });
    const sandwiched = (): number[] => [performance.now(), ceiling(), performance.now()];
    const first = sandwiched();
    const last = await new Promise<number[]>((resolve) => setTimeout(() => resolve(sandwiched()), 30));
    const passed = last[1]! - first[1]!;
    assert.ok(passed > last[0]! - first[2]! - 2 && passed < last[2]! - first[0]! + 2, `${first} to ${last}`);
  });
}
