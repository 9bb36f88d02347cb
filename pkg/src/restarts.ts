/** How often a connection restarts after the core broke, before it gives up. */
const RESTARTS_MAX = 8;

/** After this many milliseconds without a restart, earlier ones no longer count. */
const KEPT_MS = 60_000;

/**
 * Counts the recent restarts of a connection.
 *
 * @internal
 */
export class Restarts {
  #count = 0;
  #latestMs = 0;

  /** Counts another break of the core; returns whether the connection may restart. */
  allow(nowMs: number): boolean {
    this.#count = nowMs - this.#latestMs < KEPT_MS ? this.#count + 1 : 1;
    this.#latestMs = nowMs;
    return this.#count <= RESTARTS_MAX;
  }
}
