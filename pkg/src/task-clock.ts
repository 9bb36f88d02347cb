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

/** The clock that was read last. Tests put a clock of their own into its place, and take it away again. */
let clock: (() => number) | undefined;
/** Whether that clock was seen to tell parts of a millisecond. A clock of tests stands still at whole ones. */
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
 * What tells the time of a host: that of the current task, or a little before, where the host is the platform. No timer
 * fires within a task anyway, so it is asked for once for several calls.
 *
 * @internal
 */
export function taskClock(host: Host): () => number {
  return host === systemHost ? taskNow : () => host.now();
}

let readAt = Number.NaN;
let readMs = 0;

/** Reads the clock once in each millisecond of the one for dates, which tells no finer but answers sooner. */
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
 * What tells a time of a host that is not past: now, or, where the host is the platform, up to two milliseconds later. Those of the
 * platform are whole: engines keep them where they are written, while for any other number they look elsewhere in the memory.
 *
 * @internal
 */
export function ceilingClock(host: Host): () => number {
  return host === systemHost ? millisecondNow : () => host.now();
}
