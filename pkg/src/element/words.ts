import type { TimeWords } from '../progress/job.js';
import { WORK_WORDS, type WorkWords } from '../progress/work-text.js';

/**
 * The state of a `<tide-progress>`: nothing has arrived yet; the job runs; it ended in one of three ways; it was
 * running when the connection was lost; the server has not been reached; it can't be watched.
 */
export type ProgressState =
  | 'waiting'
  | 'running'
  | 'complete'
  | 'failed'
  | 'cancelled'
  | 'stale'
  | 'unreachable'
  | 'error';

/**
 * Whether no more updates come in this state.
 *
 * @internal
 */
export function isOver(state: ProgressState): boolean {
  return state === 'complete' || state === 'failed' || state === 'cancelled' || state === 'error';
}

/** The words of a `<tide-progress>`. */
export interface ProgressWords extends Readonly<Record<ProgressState, string>>, TimeWords, WorkWords {}

/**
 * The default words.
 *
 * @internal
 */
export const ENGLISH: ProgressWords = {
  waiting: 'Waiting',
  running: 'Running',
  complete: 'Complete',
  failed: 'Failed',
  cancelled: 'Cancelled',
  stale: 'Reconnecting',
  unreachable: 'Cannot reach the server',
  error: 'Not available',
  left: (span) => `${span} left`,
  soFar: (span) => `${span} so far`,
  ...WORK_WORDS,
};
