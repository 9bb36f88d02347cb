/** The platform's time, for functions that are called so often that reading the clock each time would cost too much. */

import { type Host, systemHost } from './host.js';

/** How many calls may get the same reading of the clock. */
const CALLS_MAX = 256;

const nothing = Promise.resolve();
let toldMs = 0;
let callsLeft = 0;
let isEnding = false;

/** The clock that was read last. Tests replace the platform's by a fake one, and restore it. */
let clock: (() => number) | undefined;
/**
 * Whether that clock has shown fractions of a millisecond. Fake clocks stand still at whole ones, and are never cached.
 */
let isFine = false;

function read(): number {
  const now = performance.now();
  if (performance.now !== clock) {
    clock = performance.now;
    isFine = false;
  }
  isFine ||= !Number.isInteger(now);
  return now;
}

function end(): void {
  callsLeft = 0;
  isEnding = false;
}

function taskNow(): number {
  if (callsLeft === 0 || performance.now !== clock || !isFine) {
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
 * A clock of `host` that may lag a little. For the platform, one reading serves several calls within a task: no timer
 * fires in between anyway.
 *
 * @internal
 */
export function taskClock(host: Host): () => number {
  return host === systemHost ? taskNow : () => host.now();
}

let readAt = Number.NaN;
let readMs = 0;

/** Reads the clock once per millisecond of `Date.now()`, which is coarser but faster to read. */
function millisecondNow(): number {
  const at = Date.now();
  if (at !== readAt || performance.now !== clock) {
    readAt = at;
    const now = read();
    readMs = isFine ? Math.ceil(now) + 1 : now;
  }
  return readMs;
}

/**
 * A clock of `host` that is never behind: for the platform, it is up to two milliseconds ahead. Its readings are whole
 * numbers there, which engines store in place, while they box fractions.
 *
 * @internal
 */
export function ceilingClock(host: Host): () => number {
  return host === systemHost ? millisecondNow : () => host.now();
}
