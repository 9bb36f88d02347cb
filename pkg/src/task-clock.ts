/**
 * The platform's time for what is called more often than asking for it is cheap.
 */

import { type Host, systemHost } from './host.js';

/** So many calls are told the same time at most. */
const CALLS_MAX = 256;

const nothing = Promise.resolve();
let toldMs = 0;
let callsLeft = 0;
let isEnding = false;

function end(): void {
  callsLeft = 0;
  isEnding = false;
}

function taskNow(): number {
  if (callsLeft === 0) {
    toldMs = performance.now();
    callsLeft = CALLS_MAX;
    if (!isEnding) {
      isEnding = true;
      void nothing.then(end);
    }
  }
  callsLeft -= 1;
  return toldMs;
}

/**
 * What tells the time of a host: that of the current task, or a little before, where the host is the platform. No timer
 * fires within a task anyway, so it is asked for once for several calls.
 *
 * @internal
 */
export function taskClock(host: Host): () => number {
  return host === systemHost ? taskNow : () => host.now();
}

/**
 * A clock that may be late.
 *
 * @internal
 */
export interface LateClock {
  /** A time that has come, in the host's milliseconds: less than {@link lateMs} ago, or just now. */
  now(): number;
  readonly lateMs: number;
}

let readAt = Number.NaN;
let readMs = 0;

/** The platform's clock, read once in each millisecond of the one for dates, which tells no finer but answers sooner. */
const millisecondClock: LateClock = {
  now() {
    const at = Date.now();
    if (at !== readAt) {
      readAt = at;
      readMs = performance.now();
    }
    return readMs;
  },
  lateMs: 1,
};

/**
 * What tells the time of a host for those who can do with less than it tells.
 *
 * @internal
 */
export function lateClock(host: Host): LateClock {
  return host === systemHost ? millisecondClock : { now: () => host.now(), lateMs: 0 };
}
