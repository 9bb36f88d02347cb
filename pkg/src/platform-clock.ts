/**
 * The platform's clock, which also goes on where tests replace it, put it back, or set it back: whatever lives longer than
 * a test's clock sees one time that never goes back.
 *
 * Some tests replace only the clock for dates: `mock.timers` of `node:test` and some versions of test libraries leave
 * `performance.now` as it is. Their timers follow the dates then, and so does this clock.
 */

const steady = performance;
const steadyNow = performance.now;

/** The functions that were seen last. */
let nowSeen = steadyNow;
let dateNowSeen: typeof Date.now | undefined;

/** Whether the dates, or any clock, are a test's, and how often they have been replaced. */
let areDatesFake = false;
let isFake = false;
let era = 0;

/** What is added to the clock that is read, and the test's clock to which this belongs. */
let shiftMs = 0;
let source: (() => number) | undefined;
/** What was told last while a test's clock was there. */
let toldMs = 0;

/** How the platform's function for dates reads. Those of tests are written in JavaScript, or have no name in its place. */
const NATIVE = /^function now\(\)\s*\{\s*\[native code\]/;

/** Sees whether the platform's functions are there. */
function look(): void {
  const beforeMs = isFake ? toldMs : steadyNow.call(steady) + shiftMs;
  nowSeen = performance.now;
  dateNowSeen = Date.now;
  areDatesFake = !NATIVE.test(Function.prototype.toString.call(dateNowSeen));
  isFake = areDatesFake || nowSeen !== steadyNow;
  source = undefined;
  era += 1;
  toldMs = beforeMs;
  if (!isFake) {
    shiftMs = beforeMs - steadyNow.call(steady);
  }
}

look();
/** The platform's `setTimeout`. What tests had replaced before this module was loaded is unknown. */
const timers = isFake ? undefined : setTimeout;

function lookAtDates(): void {
  // Browsers take longer to find `performance`, and tests replace both.
  if (Date.now !== dateNowSeen) {
    look();
  }
}

/**
 * Whether a test has replaced the platform's clock.
 *
 * @internal
 */
export function isClockFake(): boolean {
  lookAtDates();
  return isFake;
}

/**
 * Whether a test has replaced the platform's timers, and its clock with them.
 *
 * @internal
 */
export function areTimersFake(): boolean {
  return setTimeout !== timers && isClockFake();
}

/**
 * How often the platform's clock has been replaced, or put back.
 *
 * @internal
 */
export function clockEra(): number {
  lookAtDates();
  return era;
}

/**
 * Milliseconds on a clock that never goes back, and goes with the platform's timers.
 *
 * @internal
 */
export function platformNow(): number {
  const clock = performance;
  if (clock.now !== nowSeen || Date.now !== dateNowSeen) {
    look();
  }
  return isFake ? fakeNow() : clock.now() + shiftMs;
}

function fakeNow(): number {
  const followsDates = areDatesFake && nowSeen === steadyNow && setTimeout !== timers;
  const ms = followsDates ? Date.now() : performance.now();
  const read = followsDates ? Date.now : performance.now;
  if (source !== read) {
    source = read;
    // Tests count in whole milliseconds.
    shiftMs = Math.ceil(toldMs) - ms;
  }
  shiftMs = Math.max(shiftMs, toldMs - ms);
  toldMs = ms + shiftMs;
  return toldMs;
}
