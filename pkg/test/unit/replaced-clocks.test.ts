/** Tests replace the platform's clocks, in part or as a whole, and set them back: what is called keeps to their timers. */

import assert from 'node:assert/strict';
import { mock, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { createHub, debounce, throttle } from 'tidegate';

import { FakePlatform } from '../support/fake-platform.js';

/** Replaces timers and dates, and nothing else: `performance.now` stays. */
function mockTimers(t: TestContext): (ms: number) => void {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_700_000_000_000 });
  t.after(() => mock.timers.reset());
  return (ms) => {
    for (let passed = 0; passed < ms; passed += 1) {
      mock.timers.tick(1);
    }
  };
}

for (const nth of ['first', 'second']) {
  test(`functions and hubs follow timers that are replaced together with dates only, the ${nth} time`, (t) => {
    const tick = mockTimers(t);
    const start = Date.now();
    const calls: [number, string][] = [];
    const note = (value: string): void => void calls.push([Date.now() - start, value]);
    const [quiet, steady] = [debounce(note, 100), throttle(note, 70)];
    const hub = createHub();
    hub.subscribe('a', { throttle: 50 }, ({ data }) => note(String(data)));
    for (const step of [1, 2]) {
      quiet(`quiet ${step}`);
      steady(`steady ${step}`);
      hub.publish('a', `hub ${step}`);
      tick(20);
    }
    tick(1_000);
    hub.close();
    assert.deepEqual(calls, [
      [0, 'steady 1'],
      [0, 'hub 1'],
      [50, 'hub 2'],
      [70, 'steady 2'],
      [120, 'quiet 2'],
    ]);
  });
}

test('what outlives a clock goes on with the next one, which starts again', (t) => {
  const hub = createHub();
  const seen: unknown[] = [];
  let platform = FakePlatform.install(t);
  hub.subscribe('a', { throttle: 100 }, ({ data }) => seen.push([platform.now(), data]));
  for (const name of ['first', 'second', 'third']) {
    platform.advanceTo(10_000);
    hub.publish('a', name);
    hub.publish('a', `${name} held`);
    platform.advanceTo(20_000);
    platform.remove();
    platform = FakePlatform.install(t);
  }
  hub.close();
  assert.deepEqual(
    seen,
    ['first', 'second', 'third'].flatMap((name) => [
      [10_000, name],
      [10_100, `${name} held`],
    ]),
  );
});

test('so it does if the clock is set back', (t) => {
  const platform = FakePlatform.install(t);
  const hub = createHub();
  const seen: unknown[] = [];
  hub.subscribe('a', { throttle: 100 }, ({ data }) => seen.push([platform.now(), data]));
  platform.advanceTo(50_000);
  hub.publish('a', 1);
  platform.setBack();
  hub.publish('a', 2);
  platform.advanceTo(1_000);
  hub.publish('a', 3);
  hub.close();
  assert.deepEqual(seen, [
    [50_000, 1],
    [100, 2],
    [1_000, 3],
  ]);
});

test('timers that a test has cleared hold nothing up that is called afterwards', (t) => {
  const platform = FakePlatform.install(t);
  const calls: unknown[] = [];
  debounce(() => {}, 500)();
  platform.clearTimers();
  debounce((value: string) => calls.push([platform.now(), value]), 1_000)('later');
  platform.advanceTo(60_000);
  assert.deepEqual(calls, [[1_000, 'later']]);
});

test('a clock of a test may show fractions of a millisecond', (t) => {
  const platform = FakePlatform.install(t);
  const calls: unknown[] = [];
  const save = throttle((value: number) => calls.push([platform.now(), value]), 50);
  const hub = createHub();
  hub.subscribe('a', { debounce: 50 }, ({ data }) => calls.push([platform.now(), data]));
  for (let step = 0; step < 6; step += 1) {
    platform.advanceTo(step * 16.75);
    save(step);
    hub.publish('a', -step);
  }
  platform.advanceTo(1_000);
  hub.close();
  assert.deepEqual(calls, [
    [0, 0],
    [50, 2],
    [100.75, 5],
    [133.75, -5],
  ]);
});

test('dates that stand still, as those that a test sets, shorten no delay by the platform’s timers', async (t) => {
  const now = Date.now();
  t.mock.method(Date, 'now', () => now);
  const calls: number[] = [];
  const save = debounce(() => calls.push(performance.now()), 300);
  let last = 0;
  for (let step = 0; step < 5; step += 1) {
    save();
    last = performance.now();
    await delay(100);
  }
  await delay(1_000);
  assert.equal(calls.length, 1);
  assert.ok(calls[0]! - last >= 299, `called ${calls[0]! - last} ms after the last call`);
});
