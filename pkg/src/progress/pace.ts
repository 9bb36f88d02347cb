/** The speed of a job that doesn't report it: measured since its start, or since it was first seen. */

import type { Job } from './job.js';

/** The first values that were seen of a job, to measure its speed. */
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

/** A speed measured over less time than this means nothing, in milliseconds. */
const MEASURED_MS_MIN = 500;

/** If a job seems to have run for longer, its start is wrong or the clocks differ: ten years, in milliseconds. */
const ELAPSED_MS_MAX = 10 * 366 * 86_400_000;

/**
 * How long a job has taken, by its own `started_at`; undefined if the clocks differ so much that the result would be
 * nonsense.
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
  // If the job had already ended when it was first seen, the time of its end is unknown.
  const isNew = isRunning || before?.status === 'RUNNING';
  if (startedAt === undefined || now === undefined || !isNew) {
    return undefined;
  }
  const elapsedMs = now - startedAt;
  // If it has been seen for longer than that, the clock of `started_at` is ahead.
  const isAhead = elapsedMs < Math.max(seenAt - first.at, 0);
  return isAhead || elapsedMs > ELAPSED_MS_MAX ? undefined : elapsedMs;
}

/**
 * The first values that were seen of a job. It counts as restarted if it runs after it had ended, or if less is done
 * than before.
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
 * The growth per second since the value was `from`, `sinceMs` ago; undefined if that is too short to tell.
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
