/** Reading what a job says, and writing it as people read it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Update } from 'tidegate';
import { formats, type Job, readJob, timeText } from 'tidegate/progress';

const job = (data: unknown, more: Partial<Update> = {}): Job =>
  readJob({ topic: 'job:42', data, epoch: 1, offset: 1, ...more }, 1_000);

test('what a job says of itself is read; what is of a wrong type counts as absent', () => {
  const read = job({ name: 'Import', done: 25, total: '100', progress: 0.25, rate: Number.NaN, unit: 7 });
  assert.deepEqual(
    { ...read },
    {
      topic: 'job:42',
      name: 'Import',
      status: 'RUNNING',
      progress: 0.25,
      done: 25,
      total: undefined,
      unit: undefined,
      rate: undefined,
      remainingMs: undefined,
      elapsedMs: undefined,
      endedAt: undefined,
      seenAt: 1_000,
      message: '',
      work: undefined,
    },
  );
  assert.equal(job(null).name, '42');
  assert.equal(job('half way').message, 'half way');
});

test('progress, rate and what is left follow from amounts and the time so far', () => {
  const read = job({ done: 25, total: 100, elapsed_ms: 5_000 });
  assert.equal(read.progress, 0.25);
  assert.equal(read.rate, 5);
  assert.equal(read.remainingMs, 15_000);
  assert.equal(job({ progress: 0.5, elapsed_ms: 8_000 }).remainingMs, 8_000);
});

test('the end of the topic decides the state, then the status that is stated', () => {
  assert.equal(job({ status: 'RUNNING' }, { end: 'failed' }).status, 'FAILED');
  assert.equal(job({ status: 'complete', progress: 0.7 }).progress, 1);
  assert.equal(job({ exit_code: 3 }, { end: 'failed' }).message, 'exit status 3');
});

test('a running job counts down from when it was seen; an estimate that ran out gives way', () => {
  const english = formats('en');
  const read = job({ progress: 0.5, elapsed_ms: 8_000 });
  assert.equal(timeText(read, 1_000, english), '8s left');
  assert.equal(timeText(read, 4_000, english), '5s left');
  assert.equal(timeText(read, 11_000, english), '18s so far');
  assert.equal(timeText(job({ elapsed_ms: 8_000 }, { end: 'complete' }), 99_000, english), '8s');
  assert.equal(timeText(job({}), 2_000, english), '');
});

test('numbers follow the language', () => {
  const [english, german] = [formats('en'), formats('de')];
  assert.equal(english.amount(12_483, 33_721, 'files'), '12,483 / 33,721 files');
  assert.equal(german.amount(12_483, 33_721, 'Dateien'), '12.483 / 33.721 Dateien');
  assert.equal(english.amount(1.2e9, 3.4e9, 'bytes'), '1.2 GB / 3.4 GB');
  assert.equal(german.speed(12.4e6, 'bytes'), '12,4 MB/s');
  assert.equal(english.speed(1_204, 'files'), '1.2K files/s');
  assert.equal(english.percent(0.999), '99%');
  assert.equal(german.percent(0.37), '37\u00a0%');
  assert.equal(formats('no such language').percent(1).replace(/\s/, ''), '100%');
});

test('lengths of time have two units at most, the second of a steady width', () => {
  const { span } = formats('en');
  const [second, minute, hour] = [1_000, 60_000, 3_600_000];
  assert.deepEqual(
    [0, 300, 8 * second, 4 * minute + 7 * second, 2 * hour + 3 * minute, 76 * hour].map(span),
    ['0s', '<1s', '8s', '4m 07s', '2h 03m', '3d 04h'],
  );
});
