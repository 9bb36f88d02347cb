/** The texts of a `<tide-progress>`. */

import type { Formats } from '../progress/format.js';
import { type Job, timeText } from '../progress/job.js';
import { type WorkNouns, type WorkTexts, workTexts } from '../progress/work-text.js';
import type { ProgressState, ProgressWords } from './words.js';

/** Everything that the texts depend on. */
export interface Shown {
  readonly state: ProgressState;
  readonly job: Job | undefined;
  readonly label: string;
  readonly message: string;
  readonly formats: Formats;
  /** The language of the texts that `formats` doesn't cover. */
  readonly language: string;
  readonly words: ProgressWords;
  /** The words for a piece of work that many do together. */
  readonly nouns: WorkNouns;
  /** The time by the clock of `Job.seenAt`, in milliseconds. */
  readonly now: number;
}

/** The texts to show; each is empty if there is nothing to say. */
export interface Texts extends Omit<WorkTexts, 'eta'> {
  readonly time: string;
  /** The bar's value for screen readers. */
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

/** The texts of work that many do together. The amount includes the percentage. */
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
