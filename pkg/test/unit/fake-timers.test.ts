/**
 * A test that replaces the platform's timers removes them at its end, with all that are set: nothing afterwards may
 * wait for them.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { connect, createHub, debounce, throttle } from 'tidegate';

import { FakePlatform } from '../support/fake-platform.js';
import { FakeSocket } from '../support/fake-socket.js';

/** Leaves behind what a test with fake timers does: a pending call whose timer is gone. */
function leaveTimerBehind(t: TestContext): void {
  const platform = FakePlatform.install(t);
  debounce(() => {}, 500)();
  platform.remove();
}

test('functions of the next test are called', (t) => {
  leaveTimerBehind(t);
  const platform = FakePlatform.install(t);
  const calls: number[] = [];
  platform.advanceTo(100);
  debounce(() => calls.push(platform.now()), 500)();
  throttle(() => calls.push(platform.now()), 700, { leading: false })();
  platform.advanceTo(60_000);
  assert.deepEqual(calls, [600, 800]);
});

test('so are those of a clock that is behind the one before', (t) => {
  const platform = FakePlatform.install(t);
  platform.advanceTo(1_000_000);
  debounce(() => {}, 500)();
  platform.remove();
  const next = FakePlatform.install(t);
  const calls: number[] = [];
  debounce(() => calls.push(next.now()), 500)();
  next.advanceTo(60_000);
  assert.deepEqual(calls, [500]);
});

test('what a function holds goes with the timers, however far their clock was, and the function is called by the next ones', (t) => {
  const platform = FakePlatform.install(t);
  const calls: [number, string][] = [];
  const save = throttle((value: string) => calls.push([globalThis.performance.now(), value]), 1_000);
  platform.advanceTo(3_600_000);
  save('first');
  save('held');
  platform.remove();
  const next = FakePlatform.install(t);
  save('second');
  save('third');
  next.advanceTo(60_000);
  assert.deepEqual(calls, [
    [3_600_000, 'first'],
    [0, 'second'],
    [1_000, 'third'],
  ]);
});

test('a hub of the next test holds back no longer than it says', (t) => {
  leaveTimerBehind(t);
  const platform = FakePlatform.install(t);
  const hub = createHub();
  const seen: unknown[] = [];
  hub.subscribe('a', { throttle: 100 }, ({ data }) => seen.push([platform.now(), data]));
  hub.publish('a', 1);
  hub.publish('a', 2);
  platform.advanceTo(1_000);
  hub.publish('a', 3);
  assert.deepEqual(seen, [
    [0, 1],
    [100, 2],
    [1_000, 3],
  ]);
});

test('a connection of the next test is tried again', async (t) => {
  leaveTimerBehind(t);
  const platform = FakePlatform.install(t);
  const tide = connect('http://example.test', { WebSocket: FakeSocket, tabs: 'off' });
  tide.subscribe('a', () => {});
  await new Promise(setImmediate);
  const first = FakeSocket.last;
  first.break();
  platform.advanceTo(60_000);
  tide.close();
  assert.notEqual(FakeSocket.last, first);
});
