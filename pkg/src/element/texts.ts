/** What a `<tide-progress>` says in texts. */

import type { Formats } from '../progress/format.js';
import { type Job, timeText } from '../progress/job.js';
import { type WorkNouns, type WorkTexts, workTexts } from '../progress/work-text.js';
import type { ProgressState, ProgressWords } from './words.js';

/** What is to be shown. */
export interface Shown {
  readonly state: ProgressState;
  readonly job: Job | undefined;
  readonly label: string;
  readonly message: string;
  readonly formats: Formats;
  /** The language of what the formats don't write. */
  readonly language: string;
  readonly words: ProgressWords;
  /** What the work of many is called. */
  readonly nouns: WorkNouns;
  /** On the clock that the job was read by, in milliseconds. */
  readonly now: number;
}

/** What is shown, as texts; empty where there is nothing to say. */
export interface Texts extends Omit<WorkTexts, 'eta'> {
  readonly time: string;
  /** What the bar says to those who don't see it. */
  readonly told: string;
}

export function textsOf(shown: Shown): Texts {
  return shown.job?.work === undefined ? readJobTexts(shown) : readWorkTexts(shown);
}

function readJobTexts({ state, job, formats, words, now }: Shown): Texts {
  const percent = job?.progress === undefined ? '' : formats.percent(job.progress);
  return {
    percent,
    amount: job?.done === undefined ? '' : formats.amount(job.done, job.total, job.unit),
    active: '',
    rate: job?.rate === undefined ? '' : formats.speed(job.rate, job.unit),
    time: job === undefined ? '' : timeText(job, now, formats, words),
    told: said(percent, words[state]),
  };
}

/** The amount says the percentage with it. */
function readWorkTexts({ state, job, formats, language, words, nouns, now }: Shown): Texts {
  const sinceMs = now - job!.seenAt;
  const { eta, ...texts } = workTexts(job!.work!, { language, nouns, words, sinceMs });
  const time = job!.status === 'RUNNING' ? eta : timeText(job!, now, formats, words);
  const told = said(texts.amount, texts.active, state === 'running' ? '' : words[state]);
  return { ...texts, percent: '', time, told };
}

function said(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join(', ');
}
