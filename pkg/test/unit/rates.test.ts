/** Growing totals as speeds over time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Rates } from '../../dist/chart/rates.js';

test('what a total grew by is spread over the time that it took', () => {
  const rates = new Rates(1_000, 5);
  rates.add(0, 100);
  rates.add(1_000, 110);
  rates.add(3_000, 150);
  assert.deepEqual(rates.read(3_000), [undefined, undefined, 10, 20, 20]);
});

test('a stretch that was not seen whole, or not yet, is not known', () => {
  const rates = new Rates(1_000, 4);
  assert.deepEqual(rates.read(9_000), [undefined, undefined, undefined, undefined]);
  rates.add(1_400, 7);
  rates.add(2_500, 18);
  assert.deepEqual(rates.read(2_500), [undefined, undefined, undefined, undefined]);
  rates.add(3_500, 28);
  assert.deepEqual(rates.read(3_500).at(-1), 10);
  assert.deepEqual(rates.read(5_500), [undefined, 10, undefined, undefined], 'nobody has told of it');
});

test('nothing that happens is a speed of nought; a total that begins anew is no speed at all', () => {
  const rates = new Rates(1_000, 3);
  rates.add(0, 50);
  rates.add(1_000, 50);
  rates.add(2_000, 3);
  rates.add(3_000, 5);
  assert.deepEqual(rates.read(3_000), [0, 0, 2]);
});

test('all that it grew by is in it, whatever the moments were, as long as it is looked at', () => {
  const rates = new Rates(1_000, 100);
  let [at, total] = [0, 0];
  rates.add(at, total);
  for (let n = 1; n <= 300; n += 1) {
    at += (n * 7_919) % 613;
    total += (n * 104_729) % 17;
    rates.add(at, total);
  }
  // Up to the end of an interval, so that the interval counts.
  rates.add(Math.ceil(at / 1_000) * 1_000, total);
  const seen = rates
    .read(Math.ceil(at / 1_000) * 1_000)
    .reduce<number>((sum, grown) => sum + (grown ?? 0), 0);
  assert.ok(at < 100_000, 'it is still looked at');
  assert.ok(Math.abs(seen - total) < 1e-6, `${seen} of ${total}`);
});

test('an hour without a word costs no more than what is shown', () => {
  const rates = new Rates(1_000, 3);
  rates.add(0, 0);
  rates.add(3_600_000_000, 3_600_000);
  assert.deepEqual(rates.read(3_600_000_000), [1, 1, 1]);
});
