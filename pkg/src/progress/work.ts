import { membersOf, numberOf } from './members.js';

/**
 * The progress of a piece of work that many do together, as servers publish it. Times are in milliseconds; what is
 * unknown is undefined.
 */
export interface Work {
  /** The amount done. */
  readonly done: number;
  /** The total amount. */
  readonly target: number | undefined;
  /** The amount left of the target; without a target, of what was queued. */
  readonly remaining: number | undefined;
  /** The amount that was queued and is not done yet. */
  readonly queued: number;
  /** The number of active workers. */
  readonly active: number;
  /** The amount done per hour, at the speed of the last minutes. */
  readonly perHour: number;
  /** The estimated time left, from when this was published. */
  readonly etaMs: number | undefined;
  /** The time left if the real speed is at the upper end of what is likely. */
  readonly etaEarliestMs: number | undefined;
  /** The time left if it is at the lower end; undefined also if that means no speed at all. */
  readonly etaLatestMs: number | undefined;
  /** When it started, by the application's clock. */
  readonly startedMs: number | undefined;
  /** When it ended. */
  readonly endedMs: number | undefined;
  /** The amounts of those that have done the most, by their names. */
  readonly sessions: Readonly<Record<string, number>>;
  /** The amount of all others. */
  readonly others: number;
}

/** Reads the progress of a piece of work; `undefined` if the data is something else. */
export function readWork(data: unknown): Work | undefined {
  const members = membersOf(data);
  const number = (name: string): number | undefined => numberOf(members, name);
  const [done, active, perHour] = [number('done'), number('active'), number('per_hour')];
  if (done === undefined || active === undefined || perHour === undefined) {
    return undefined;
  }
  const sessions = Object.entries(membersOf(members['sessions']));
  return {
    done,
    target: number('target'),
    remaining: number('remaining'),
    queued: number('queued') ?? 0,
    active,
    perHour,
    etaMs: number('eta_ms'),
    etaEarliestMs: number('eta_earliest_ms'),
    etaLatestMs: number('eta_latest_ms'),
    startedMs: number('started_ms'),
    endedMs: number('ended_ms'),
    sessions: Object.fromEntries(sessions.filter(([, count]) => Number.isFinite(count))) as Work['sessions'],
    others: number('others') ?? 0,
  };
}
