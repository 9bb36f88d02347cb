/** How fast a job is where it doesn't say so itself: by when it began, or by what was seen of it. */

import type { Job } from './job.js';

/** What was seen of a job first, for measuring its speed. */
export interface FirstSeen {
  /** When, by the reader's clock, in milliseconds. */
  readonly at: number;
  readonly done: number | undefined;
  readonly progress: number | undefined;
}

/** What a reader knows besides an update. */
export interface JobContext {
  /** The wall-clock time, in milliseconds since 1970. Without it, `started_at` is ignored. */
  readonly now?: number | undefined;
  /** The job as read from the previous update of the same topic. Without it, nothing is measured. */
  readonly before?: Job | undefined;
}

/** After how long a speed says something, in milliseconds. */
const MEASURED_MS_MIN = 500;

/** What takes longer was not begun when it says, or the clocks differ: ten years, in milliseconds. */
const ELAPSED_MS_MAX = 10 * 366 * 86_400_000;

/**
 * How long a job has taken by its own `started_at`. Nothing, where the clocks differ so much that it would be nonsense.
 *
 * @internal
 */
export function elapsedSince(
  startedAt: number | undefined,
  seenAt: number,
  isRunning: boolean,
  first: FirstSeen,
  { now, before }: JobContext,
): number | undefined {
  // Of an end that nobody saw come it is not known when it was.
  const isNew = isRunning || before?.status === 'RUNNING';
  if (startedAt === undefined || now === undefined || !isNew) {
    return undefined;
  }
  const elapsedMs = now - startedAt;
  // It has been seen for longer than that: the clock that it began by is ahead.
  const isAhead = elapsedMs < Math.max(seenAt - first.at, 0);
  return isAhead || elapsedMs > ELAPSED_MS_MAX ? undefined : elapsedMs;
}

/**
 * What there was to see of a job first. One that ended, or has less done than before, has begun anew.
 *
 * @internal
 */
export function firstSeen(
  at: number,
  done: number | undefined,
  progress: number | undefined,
  isRunning: boolean,
  before: Job | undefined,
): FirstSeen {
  const goesOn =
    before !== undefined &&
    (before.status === 'RUNNING' || !isRunning) &&
    !isLess(done, before.done) &&
    !isLess(progress, before.progress);
  return goesOn ? before.first : { at, done, progress };
}

function isLess(one: number | undefined, other: number | undefined): boolean {
  return one !== undefined && other !== undefined && one < other;
}

/**
 * How much has come per second since `from`, which was `sinceMs` ago; nothing before that says something.
 *
 * @internal
 */
export function perSecond(
  value: number | undefined,
  from: number | undefined,
  sinceMs: number | undefined,
): number | undefined {
  const isKnown = value !== undefined && from !== undefined && sinceMs !== undefined;
  return isKnown && sinceMs >= MEASURED_MS_MIN && value > from
    ? ((value - from) / sinceMs) * 1_000
    : undefined;
}
