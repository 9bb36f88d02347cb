/** The platform's time, for functions that are called so often that reading the clock each time would cost too much. */

import { type Host, systemHost } from './host.js';
import { isClockFake, platformNow } from './platform-clock.js';

/** How many calls may get the same reading of the clock. */
const CALLS_MAX = 256;

const nothing = Promise.resolve();
let toldMs = 0;
let callsLeft = 0;
let isEnding = false;

/**
 * Tests replace the platform's clock, and put it back. Browsers take as long to find `performance` as to read the time, so a
 * replaced clock is noticed by the timers and dates that are replaced along with it.
 */
let timers: typeof setTimeout | undefined;
let dateNow: typeof Date.now | undefined;

/**
 * Whether the clock has shown fractions of a millisecond, and runs by itself. The clocks of tests stand still, mostly on
 * whole ones, and advance within a task.
 */
let isFine = false;

function isReplaced(): boolean {
  return setTimeout !== timers || Date.now !== dateNow;
}

function read(): number {
  const now = platformNow();
  if (isReplaced()) {
    timers = setTimeout;
    dateNow = Date.now;
    isFine = false;
  }
  isFine ||= !Number.isInteger(now) && !isClockFake();
  return now;
}

function end(): void {
  callsLeft = 0;
  isEnding = false;
}

function taskNow(): number {
  if (callsLeft === 0 || !isFine || isReplaced()) {
    toldMs = read();
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
 * Tells the time of a host or, where the host is the platform, when its current task read the clock. No timer fires within a task
 * anyway, so one reading serves several calls.
 *
 * @internal
 */
export function taskClock(host: Host): () => number {
  return host === systemHost ? taskNow : () => host.now();
}

/** The millisecond, by the clock for dates, in which the time was read: that clock is coarser, but answers sooner. */
let readAt = Number.NaN;
/** A bound of the time in that millisecond: a whole number, which engines store in place; others need memory of their own. */
let ceilingMs = 0;

/** Reads the clock once in each millisecond; a clock of tests every time, because the one for dates need not follow it. */
function ceilingNow(): number {
  const at = Date.now();
  if (at !== readAt || !isFine || isReplaced()) {
    readAt = at;
    const now = read();
    ceilingMs = isFine ? Math.floor(now) + 2 : now;
  }
  return ceilingMs;
}

/**
 * Tells a time of a host that is not past: now or, where the host is the platform, up to two milliseconds later.
 *
 * @internal
 */
export function ceilingClock(host: Host): () => number {
  return host === systemHost ? ceilingNow : () => host.now();
}
