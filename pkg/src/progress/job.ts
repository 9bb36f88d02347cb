import type { EndReason, Update } from '../types.js';
import type { Formats } from './format.js';
import { type Members, membersOf, numberOf, textOf } from './members.js';
import { elapsedSince, type FirstSeen, firstSeen, type JobContext, perSecond } from './pace.js';
import { readWork, type Work } from './work.js';

/** The statuses of a job. */
export const STATUSES = ['RUNNING', 'COMPLETE', 'FAILED', 'CANCELLED'] as const;

/** The status of a job. */
export type Status = (typeof STATUSES)[number];

const STATUS_OF_END: Readonly<Record<EndReason, Status>> = {
  complete: 'COMPLETE',
  failed: 'FAILED',
  cancelled: 'CANCELLED',
};

/** A job, read from its last update. */
export interface Job {
  /** The topic it publishes to. */
  readonly topic: string;
  /** Its name; if it has none, what follows the first `:` of its topic. */
  readonly name: string;
  /** Its status. */
  readonly status: Status;
  /** The part that is done, from 0 to 1; undefined if unknown. */
  readonly progress: number | undefined;
  /** The amount done, in units. */
  readonly done: number | undefined;
  /** The total amount, in units. */
  readonly total: number | undefined;
  /** The unit: `files`, or `bytes`, which are shown as KB, MB and so on. */
  readonly unit: string | undefined;
  /** Units per second. */
  readonly rate: number | undefined;
  /** The estimated time left in milliseconds, at the rate so far. */
  readonly remainingMs: number | undefined;
  /** The time taken so far, in milliseconds. */
  readonly elapsedMs: number | undefined;
  /** When it ended, by its own clock, in milliseconds since 1970; undefined while it runs, or if unknown. */
  readonly endedAt: number | undefined;
  /** When the update arrived, by the reader's clock, in milliseconds. */
  readonly seenAt: number;
  /** Its first values that were seen since it last started. */
  readonly first: FirstSeen;
  /** Its message; empty if it has none. */
  readonly message: string;
  /** More, if it is the progress of work that many do together. */
  readonly work: Work | undefined;
}

/**
 * Reads an update of a job: an object with any of `name`, `status`, `progress` (0 to 1), `done`, `total`, `unit`,
 * `rate` (units per second), `started_at` (milliseconds since 1970), `elapsed_ms`, `message` and `exit_code`; or the
 * progress of a piece of {@link Work}. Members of a wrong type count as absent, and other members are ignored, because
 * anyone may publish.
 *
 * Speed and time left are derived, if the job doesn't report them: from `elapsed_ms`, or else from `started_at` and
 * `context.now`, or else from what has been seen of it since `context.before`, which is what this function returned for
 * the previous update.
 */
export function readJob(update: Update, seenAt: number, context: JobContext = {}): Job {
  const work = readWork(update.data);
  const data = work === undefined ? membersOf(update.data) : asJob(update.data, work);
  const status = readStatus(update, data);
  const done = numberOf(data, 'done');
  const total = numberOf(data, 'total');
  const isRunning = status === 'RUNNING';
  // Work may be complete before all of it is done, so its share is always taken from its numbers.
  const counted = work === undefined ? status : 'RUNNING';
  const progress = readProgress(counted, numberOf(data, 'progress'), done, total);
  const first = firstSeen(seenAt, done, progress, isRunning, context.before);
  const startedAt = numberOf(data, 'started_at');
  const statedMs = numberOf(data, 'elapsed_ms');
  const countedMs =
    work === undefined ? elapsedSince(startedAt, seenAt, isRunning, first, context) : undefined;
  const elapsedMs = statedMs ?? countedMs;
  const measured = (value?: number, from?: number): number | undefined =>
    countedMs === undefined ? perSecond(value, from, seenAt - first.at) : perSecond(value, 0, countedMs);
  const rate =
    numberOf(data, 'rate') ??
    (statedMs === undefined ? measured(done, first.done) : ratio(done, statedMs / 1000));
  const progressRate = statedMs === undefined ? measured(progress, first.progress) : undefined;
  return {
    topic: update.topic,
    name: textOf(data, 'name') ?? update.topic.slice(update.topic.indexOf(':') + 1),
    status,
    progress,
    done,
    total,
    unit: textOf(data, 'unit'),
    rate,
    remainingMs: readRemaining(progress, done, total, rate, statedMs, progressRate),
    elapsedMs,
    endedAt: isRunning ? undefined : sum(startedAt, elapsedMs),
    seenAt,
    first,
    message: readMessage(update.data, data, status),
    work,
  };
}

/** A piece of work as the members of a job. */
function asJob(data: unknown, { target, perHour, startedMs, endedMs }: Work): Members {
  const isOver = startedMs !== undefined && endedMs !== undefined;
  return {
    ...membersOf(data),
    total: target,
    rate: perHour / 3_600,
    started_at: startedMs,
    elapsed_ms: isOver ? Math.max(endedMs - startedMs, 0) : undefined,
  };
}

function readStatus(update: Update, data: Members): Status {
  if (update.end !== undefined) {
    return STATUS_OF_END[update.end];
  }
  const stated = textOf(data, 'status')?.toUpperCase();
  return STATUSES.find((status) => status === stated) ?? 'RUNNING';
}

function readProgress(
  status: Status,
  stated: number | undefined,
  done: number | undefined,
  total: number | undefined,
): number | undefined {
  if (status === 'COMPLETE') {
    return 1;
  }
  const progress = stated ?? ratio(done, total);
  return progress === undefined ? undefined : Math.min(Math.max(progress, 0), 1);
}

function readRemaining(
  progress: number | undefined,
  done: number | undefined,
  total: number | undefined,
  rate: number | undefined,
  elapsedMs: number | undefined,
  progressRate: number | undefined,
): number | undefined {
  if (done !== undefined && total !== undefined && rate !== undefined && rate > 0) {
    return (Math.max(total - done, 0) / rate) * 1000;
  }
  if (progress !== undefined && progress > 0 && elapsedMs !== undefined) {
    return (elapsedMs / progress) * (1 - progress);
  }
  if (progress !== undefined && progressRate !== undefined) {
    return ((1 - progress) / progressRate) * 1000;
  }
  return undefined;
}

function readMessage(raw: unknown, data: Members, status: Status): string {
  const message = textOf(data, 'message') ?? (typeof raw === 'string' ? raw : '');
  if (status !== 'FAILED' || message !== '') {
    return message;
  }
  const exitCode = numberOf(data, 'exit_code');
  return exitCode === undefined ? '' : `exit status ${exitCode}`;
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

function ratio(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole <= 0 ? undefined : part / whole;
}

/** The words around a duration. */
export interface TimeWords {
  /** For the time left. */
  readonly left: (span: string) => string;
  /** For the time taken so far. */
  readonly soFar: (span: string) => string;
}

const ENGLISH: TimeWords = { left: (span) => `${span} left`, soFar: (span) => `${span} so far` };

/**
 * A text about a job's time at `now`, by the same clock as `seenAt`: the time left, or the time taken. Empty if neither
 * is known.
 */
export function timeText(job: Job, now: number, { span }: Formats, words: TimeWords = ENGLISH): string {
  if (job.status !== 'RUNNING') {
    return job.elapsedMs === undefined ? '' : span(job.elapsedMs);
  }
  const since = now - job.seenAt;
  const remainingMs = job.remainingMs === undefined ? undefined : job.remainingMs - since;
  // An estimate that has run out says nothing any more.
  if (remainingMs !== undefined && remainingMs > -500) {
    return words.left(span(Math.max(remainingMs, 0)));
  }
  return job.elapsedMs === undefined ? '' : words.soFar(span(job.elapsedMs + since));
}
