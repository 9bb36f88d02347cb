/** The progress of a piece of work, as a server publishes it. */

export const HOUR_MS = 3_600_000;

/** As a server publishes it. */
export const TOLD = {
  done: 47,
  target: 500,
  remaining: 453,
  queued: 0,
  active: 3,
  per_hour: 15,
  per_second_milli: 4,
  window_ms: 600_000,
  eta_ms: 30.2 * HOUR_MS,
  eta_earliest_ms: 24 * HOUR_MS,
  eta_latest_ms: 41 * HOUR_MS,
  sessions: { ada: 30, bob: 17 },
  others: 0,
};
