/**
 * The platform's time for what is called more often than asking for it is cheap: it is asked for once for several calls of
 * one task, within which no timer fires anyway.
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
 * What tells the time of a host: that of the current task, or a little before, where the host is the platform.
 *
 * @internal
 */
export function taskClock(host: Host): () => number {
  return host === systemHost ? taskNow : () => host.now();
}
