/** The progress of work that many do together: reading it, and formatting it in several languages. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  readJob,
  readWork,
  type Work,
  type WorkTextOptions,
  type WorkTexts,
  workTexts,
} from 'tidegate/progress';

import { HOUR_MS, TOLD } from '../support/work.js';

const work = (more: object = {}): Work => readWork({ ...TOLD, ...more })!;

const NOUNS = { unit: 'label|labels', verb: 'labeled', worker: 'labeler|labelers' };

const english = (more: object = {}, options: WorkTextOptions = {}): WorkTexts =>
  workTexts(work(more), { language: 'en', nouns: NOUNS, ...options });

test('what servers tell is read, and what is something else is not', () => {
  assert.deepEqual(work({ started_ms: 5, eta_latest_ms: undefined, others: 'many' }), {
    done: 47,
    target: 500,
    remaining: 453,
    queued: 0,
    active: 3,
    perHour: 15,
    etaMs: 30.2 * HOUR_MS,
    etaEarliestMs: 24 * HOUR_MS,
    etaLatestMs: undefined,
    startedMs: 5,
    endedMs: undefined,
    sessions: { ada: 30, bob: 17 },
    others: 0,
  });
  assert.deepEqual(work({ sessions: { ada: 'all', bob: 1 } }).sessions, { bob: 1 });
  for (const other of [null, 'half way', 7, [1, 2], { done: 3, total: 9 }, { ...TOLD, active: '3' }]) {
    assert.equal(readWork(other), undefined);
  }
});

test('a job is read from it, too, and is over when its topic is', () => {
  const read = (data: object, end?: 'complete'): ReturnType<typeof readJob> =>
    readJob({ topic: 'task:7:progress', data, epoch: 1, offset: 1, ...(end && { end }) }, 1_000);
  const running = read(TOLD);
  assert.deepEqual(
    [running.status, running.done, running.total, running.progress],
    ['RUNNING', 47, 500, 47 / 500],
  );
  assert.equal(running.work?.active, 3);
  const over = read({ ...TOLD, done: 480, started_ms: 1_000, ended_ms: 61_000 }, 'complete');
  assert.deepEqual([over.status, over.progress, over.elapsedMs], ['COMPLETE', 480 / 500, 60_000]);
  assert.deepEqual([running.endedAt, over.endedAt], [undefined, 61_000]);
  const { target: _, remaining: __, ...open } = TOLD;
  assert.equal(read(open).progress, undefined, 'nobody knows of how much');
  assert.equal(readJob({ topic: 'job:1', data: { done: 1 }, epoch: 1, offset: 1 }, 0).work, undefined);
});

test('it is told in English', () => {
  assert.deepEqual(english(), {
    amount: '47 / 500 labeled (9.4%)',
    percent: '9.4%',
    active: '3 active labelers',
    rate: '~15 labels/hour',
    eta: 'in 30 hours (24–41 hours)',
  });
  const one = english({ done: 1, active: 1, per_hour: 1 });
  assert.equal(one.amount, '1 / 500 labeled (0.2%)');
  assert.equal(one.active, '1 active labeler');
  assert.equal(one.rate, '~1 label/hour');
});

test('without nouns it is told all the same', () => {
  const { amount, active, rate } = workTexts(work({ per_hour: 12_345 }), { language: 'en' });
  assert.deepEqual([amount, active, rate], ['47 / 500 done (9.4%)', '3 active', '~12,300/hour']);
  const { target: _, remaining: __, eta_ms: ___, ...open } = TOLD;
  const texts = workTexts(readWork({ ...open, done: 12_000 })!, { language: 'en' });
  assert.deepEqual([texts.amount, texts.percent, texts.eta], ['12,000 done', '', '']);
});

test('a share is exact to a tenth, and neither finished nor untouched before it is', () => {
  const percent = (done: number, target = 500): string => english({ done, target }).percent;
  assert.equal(percent(0), '0%');
  assert.equal(percent(1, 1_000_000), '0.1%');
  assert.equal(percent(499.9), '99.9%');
  assert.equal(percent(500), '100%');
  assert.equal(percent(501), '100%');
  assert.equal(percent(145), '29%');
  assert.equal(percent(3, 0), '', 'of nothing there is no share');
});

test('how long it takes is told in one unit, with how sure that is, and counted down', () => {
  const eta = (expected: number, earliest?: number, latest?: number, sinceMs = 0): string =>
    english({ eta_ms: expected, eta_earliest_ms: earliest, eta_latest_ms: latest }, { sinceMs }).eta;
  const [second, minute, day] = [1_000, 60_000, 24 * HOUR_MS];
  assert.equal(eta(40 * second, 40 * second, 40 * second), 'in 40 seconds');
  assert.equal(eta(40 * minute, 30 * minute, 55 * minute), 'in 40 minutes (30–55 minutes)');
  assert.equal(eta(40 * minute, 30 * minute, 55 * minute, 10 * minute), 'in 30 minutes (20–45 minutes)');
  assert.equal(eta(3 * day, 2 * day, 9 * day), 'in 3 days (2–9 days)');
  assert.equal(eta(40 * minute, 20 * minute), 'in 40 minutes (≥ 20 minutes)', 'it may take for ever');
  assert.equal(eta(second, second, second, 5 * second), 'in 1 second', 'it is late, and not over');
  assert.equal(english({ remaining: 0, eta_ms: 0 }).eta, '');
});

test('what is over has no speed and nobody at it', () => {
  const { amount, active, rate, eta } = english({ done: 500, ended_ms: 9 });
  assert.deepEqual([amount, active, rate, eta], ['500 / 500 labeled (100%)', '', '', '']);
  assert.equal(english({ per_hour: 0 }).rate, '');
});

test('numbers, plurals and times are those of the language', () => {
  const told = (language: string, active: number, nouns: WorkTextOptions['nouns'], words = {}): string[] => {
    const texts = workTexts(work({ done: 12_047, target: 50_000, active, per_hour: 1_500 }), {
      language,
      nouns: nouns!,
      words,
    });
    return Object.values(texts).map((text) => text.replace(/[\u00a0\u202f]/g, ' '));
  };
  const active = (count: string, worker: string): string => `${count} ${worker}`;
  assert.deepEqual(
    told(
      'de',
      1,
      { unit: 'Etikett|Etiketten', verb: 'etikettiert', worker: 'aktive Person|aktive Personen' },
      { active },
    ),
    [
      '12.047 / 50.000 etikettiert (24 %)',
      '24 %',
      '1 aktive Person',
      '~1.500 Etiketten/Stunde',
      'in 30 Stunden (24–41 Stunden)',
    ],
  );
  assert.deepEqual(
    told(
      'fr',
      0,
      { unit: 'étiquette|étiquettes', verb: 'étiquetés', worker: 'personne active|personnes actives' },
      { active },
    ),
    [
      '12 047 / 50 000 étiquetés (24 %)',
      '24 %',
      '0 personne active',
      '~1 500 étiquettes/heure',
      'dans 30 heures (24–41 heures)',
    ],
  );
  const polish = { worker: 'aktywna osoba|aktywne osoby|aktywnych osób' };
  const people = (count: number): string => told('pl', count, polish, { active })[2]!;
  assert.deepEqual([1, 3, 5, 22].map(people), [
    '1 aktywna osoba',
    '3 aktywne osoby',
    '5 aktywnych osób',
    '22 aktywne osoby',
  ]);
  assert.match(told('ja', 3, {})[4]!, /^30 時間後 \(24 ?～ ?41 時間\)$/);
  assert.match(told('ar-EG', 3, {})[0]!, /١٢٬٠٤٧ \/ ٥٠٬٠٠٠/);
  assert.equal(told('no such language', 3, {}).length, 5);
});
