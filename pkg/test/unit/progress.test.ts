/** Reading a job's updates, and formatting them for people. */

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
      first: { at: 1_000, done: 25, progress: 0.25 },
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

/** The job after these publications, a second apart; `now` is the wall-clock time of the first. */
function followed(said: readonly object[], now?: number, end?: 'complete'): Job {
  let before: Job | undefined;
  for (const [nth, data] of said.entries()) {
    const update: Update = { topic: 'job:42', data, epoch: 1, offset: nth + 1 };
    const isLast = end !== undefined && nth === said.length - 1;
    const wall = now === undefined ? undefined : now + nth * 1_000;
    before = readJob(isLast ? { ...update, end } : update, 5_000 + nth * 1_000, { now: wall, before });
  }
  return before!;
}

const DAY_MS = 86_400_000;

test('how fast it is and what is left follow from when it began', () => {
  const startedAt = 20_000 * DAY_MS;
  const rows = (done: number) => ({ done, total: 900, started_at: startedAt });
  const read = followed([rows(53)], startedAt + 10_000);
  assert.deepEqual([read.rate, read.elapsedMs], [5.3, 10_000]);
  assert.equal(timeText(read, read.seenAt, formats('en')), '2m 40s left');
  assert.equal(followed([{ progress: 0.5, started_at: startedAt }], startedAt + 8_000).remainingMs, 8_000);
  assert.equal(followed([rows(1)], startedAt + 2).rate, undefined, 'so short a time says nothing of speed');
  const over = followed([rows(1), rows(900)], startedAt + 10_000, 'complete');
  assert.deepEqual([over.elapsedMs, over.endedAt], [11_000, startedAt + 11_000]);
  assert.equal(
    followed([rows(900)], startedAt + DAY_MS, 'complete').elapsedMs,
    undefined,
    'it may have ended long ago',
  );
});

test('how fast it is and what is left are measured where it does not say when it began', () => {
  const rows = (done: number) => ({ done, total: 900 });
  assert.equal(followed([rows(50)]).rate, undefined);
  const read = followed([rows(50), rows(53), rows(60)]);
  assert.deepEqual([read.rate, read.remainingMs, read.elapsedMs], [5, 168_000, undefined]);
  assert.equal(followed([{ progress: 0.1 }, { progress: 0.3 }, { progress: 0.5 }]).remainingMs, 2_500);
  assert.equal(followed([rows(50), rows(60), rows(1), rows(3)]).rate, 2, 'it has begun anew');
});

test('clocks that differ leave out what would be nonsense', () => {
  const startedAt = 20_000 * DAY_MS;
  const rows = (done: number, at = startedAt) => ({ done, total: 900, started_at: at });
  for (const skewMs of [-60_000, -3_000, 100 * 366 * DAY_MS]) {
    const read = followed([rows(50), rows(53), rows(60)], startedAt + skewMs);
    assert.deepEqual([read.rate, read.remainingMs, read.elapsedMs], [5, 168_000, undefined], String(skewMs));
  }
  const inSeconds = followed([rows(50, startedAt / 1_000)], startedAt);
  assert.deepEqual(
    [inSeconds.rate, inSeconds.remainingMs, inSeconds.elapsedMs],
    [undefined, undefined, undefined],
  );
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
  for (let done = 0; done <= 100; done += 1) {
    assert.equal(english.percent(done / 100), `${done}%`, 'a product that is a hair too small is none less');
  }
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
