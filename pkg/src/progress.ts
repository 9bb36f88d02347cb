/**
 * What an update on a job's topic says, and how people read it: for those who draw their own bars.
 *
 * @packageDocumentation
 */

export { type Formats, formats, percent } from './progress/format.js';
export { type Job, readJob, STATUSES, type Status, type TimeWords, timeText } from './progress/job.js';
