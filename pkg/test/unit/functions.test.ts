import assert from 'node:assert/strict';
import { test } from 'node:test';

import { debounce, TidegateError, throttle } from 'tidegate';

import { VirtualHost } from '../support/virtual-host.js';

test('a throttled function is called at once, then once per window with the newest arguments', () => {
  const host = new VirtualHost();
  const calls: [number, string][] = [];
  const save = throttle((text: string) => calls.push([host.now(), text]), 100, { host });
  for (const [at, text] of [
    [0, 'a'],
    [10, 'b'],
    [20, 'c'],
    [150, 'd'],
  ] as const) {
    host.advanceTo(at);
    save(text);
  }
  host.advanceTo(1_000);
  assert.deepEqual(calls, [
    [0, 'a'],
    [100, 'c'],
    [200, 'd'],
  ]);
  assert.equal(host.armed, 0);
});

test('the lodash way may call twice within a millisecond, ours does not', () => {
  for (const [compat, expected] of [
    [undefined, [0, 100, 200]],
    ['lodash', [0, 100, 101]],
  ] as const) {
    const host = new VirtualHost();
    const times: number[] = [];
    const fn = throttle(
      () => times.push(host.now()),
      100,
      compat === undefined ? { host } : { compat, host },
    );
    for (const at of [0, 1, 101]) {
      host.advanceTo(at);
      fn();
    }
    host.advanceTo(1_000);
    assert.deepEqual(times, expected);
  }
});

test('a debounced function returns what its last call returned, and knows what is pending', () => {
  const host = new VirtualHost();
  const double = debounce((x: number) => x * 2, '50ms', { host });
  assert.equal(double(1), undefined);
  assert.equal(double.pending(), true);
  host.advance(50);
  assert.equal(double.pending(), false);
  assert.equal(double(5), 2);
  assert.equal(double.flush(), 10);
  assert.equal(double.pending(), false);
  double(7);
  double.cancel();
  host.advance(1_000);
  assert.equal(double(8), 10);
});

test('maxWait bounds how long a call is put off', () => {
  const host = new VirtualHost();
  const times: number[] = [];
  const fn = debounce(() => times.push(host.now()), 100, { maxWait: 250, host });
  for (let at = 0; at <= 600; at += 50) {
    host.advanceTo(at);
    fn();
  }
  host.advanceTo(2_000);
  assert.deepEqual(times, [250, 500, 700]);
});

test('`this` and all arguments of the last call are passed on', () => {
  const host = new VirtualHost();
  const seen: unknown[] = [];
  const object = {
    name: 'o',
    fn: debounce(
      function (this: { name: string }, ...args: number[]) {
        seen.push(this.name, args);
      },
      10,
      { host },
    ),
  };
  object.fn(1);
  object.fn(2, 3);
  host.advance(10);
  assert.deepEqual(seen, ['o', [2, 3]]);
});

test('many functions share one timer', () => {
  const host = new VirtualHost();
  let calls = 0;
  for (let index = 0; index < 1_000; index += 1) {
    const fn = throttle(() => calls++, 100 + index, { host });
    fn();
    fn();
  }
  assert.equal(host.armedMax, 1);
  host.advanceTo(10_000);
  assert.equal(calls, 2_000);
  assert.equal(host.armedMax, 1);
  assert.equal(host.armed, 0);
});

test('a timer that comes late calls once, never in a burst', () => {
  const host = new VirtualHost();
  const times: number[] = [];
  const fn = throttle(() => times.push(host.now()), 100, { host });
  fn();
  fn();
  host.jumpTo(5_000);
  assert.deepEqual(times, [0, 5_000]);
  host.advance(10_000);
  assert.equal(times.length, 2);
});

test('a function may call its throttled self', () => {
  const host = new VirtualHost();
  const seen: number[] = [];
  const countDown = throttle(
    (left: number) => {
      seen.push(left);
      if (left > 0) {
        countDown(left - 1);
      }
    },
    10,
    { host },
  );
  countDown(3);
  host.advance(100);
  assert.deepEqual(seen, [3, 2, 1, 0]);
});

test('what the function throws at once reaches the caller, and the gate goes on', () => {
  const host = new VirtualHost();
  let calls = 0;
  const fn = throttle(
    () => {
      calls += 1;
      throw new RangeError('no');
    },
    10,
    { host },
  );
  assert.throws(() => fn(), RangeError);
  host.advance(20);
  assert.throws(() => fn(), RangeError);
  assert.equal(calls, 2);
});

test('a duration that is none is refused with a typed error', () => {
  for (const bad of ['soon', -1, Number.NaN, '1 s', '5'] as never[]) {
    assert.throws(
      () => throttle(() => {}, bad),
      (error: unknown) => error instanceof TidegateError && error.code === 'bad_option',
    );
  }
});

test('a call that was cancelled holds the next one back at no time of the clock', () => {
  class EarlyHost extends VirtualHost {
    override now(): number {
      return super.now() - 1_000_000;
    }
  }
  const calls: number[] = [];
  const save = throttle((value: number) => calls.push(value), 100, { host: new EarlyHost() });
  save(1);
  save.cancel();
  save(2);
  assert.deepEqual(calls, [1, 2]);
});
