/**
 * Reads updates of jobs and formats them for people, for progress bars of your own.
 *
 * @packageDocumentation
 */

export { type Formats, formats, percent } from './progress/format.js';
export { type Job, readJob, STATUSES, type Status, type TimeWords, timeText } from './progress/job.js';
export type { FirstSeen, JobContext } from './progress/pace.js';
export { readWork, type Work } from './progress/work.js';
export {
  type WorkNouns,
  type WorkTextOptions,
  type WorkTexts,
  type WorkWords,
  workTexts,
} from './progress/work-text.js';
