/** How often a connection starts afresh because the core broke, before it is given up. */
const RESTARTS_MAX = 8;

/** After how many milliseconds without one those that were are forgotten. */
const KEPT_MS = 60_000;

/**
 * The times that a connection has started afresh lately.
 *
 * @internal
 */
export class Restarts {
  #count = 0;
  #latestMs = 0;

  /** The core broke once more: says whether the connection is to start afresh again. */
  allow(nowMs: number): boolean {
    this.#count = nowMs - this.#latestMs < KEPT_MS ? this.#count + 1 : 1;
    this.#latestMs = nowMs;
    return this.#count <= RESTARTS_MAX;
  }
}
