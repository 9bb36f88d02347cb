import { membersOf, numberOf } from './members.js';

/**
 * How far a piece of work has come that many do together, as servers tell it on the work's topic of progress. Times are in
 * milliseconds; what is not known is undefined.
 */
export interface Work {
  /** How much is done. */
  readonly done: number;
  /** How much is to be done in all. */
  readonly target: number | undefined;
  /** How much is left of the target, or else of what was queued. */
  readonly remaining: number | undefined;
  /** How much was queued and is not done. */
  readonly queued: number;
  /** How many are at work. */
  readonly active: number;
  /** How much is done in an hour, by the speed of the last minutes. */
  readonly perHour: number;
  /** How much longer it takes, from when this was told. */
  readonly etaMs: number | undefined;
  /** How much longer if the speed is really higher, by what it may well be off. */
  readonly etaEarliestMs: number | undefined;
  /** How much longer if it is lower; undefined, too, where that is no speed at all. */
  readonly etaLatestMs: number | undefined;
  /** When it began, by the application's clock. */
  readonly startedMs: number | undefined;
  /** When it ended. */
  readonly endedMs: number | undefined;
  /** What those have done that have done the most, by their names. */
  readonly sessions: Readonly<Record<string, number>>;
  /** What all others have done. */
  readonly others: number;
}

/** Reads what was published as the progress of a piece of work: `undefined` where it is something else. */
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
