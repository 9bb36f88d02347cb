/**
 * Turns a total that grows into how much it grew in each of a row of equal stretches of time.
 *
 * @internal
 */
export class Rates {
  readonly #bucketMs: number;
  readonly #buckets: number;
  /** By the number of the stretch; only as many as are read. */
  readonly #grown = new Map<number, number>();
  /** The first stretch that is known from its beginning. */
  #first = 0;
  #last: { readonly at: number; readonly total: number } | undefined;

  constructor(bucketMs: number, buckets: number) {
    this.#bucketMs = bucketMs;
    this.#buckets = buckets;
  }

  /** At `at`, in milliseconds, it is `total`. What it grew by since it was last told is spread over the time between. */
  add(at: number, total: number): void {
    const last = this.#last;
    if (last === undefined) {
      this.#first = Math.ceil(at / this.#bucketMs);
    } else if (at <= last.at) {
      return;
    } else if (total > last.total) {
      this.#spread(last.at, at, total - last.total);
    }
    // A total that is less than before began anew: what it grew by is not known.
    this.#last = { at, total };
  }

  #spread(from: number, to: number, amount: number): void {
    const perMs = amount / (to - from);
    const current = Math.floor(to / this.#bucketMs);
    let bucket = Math.max(Math.floor(from / this.#bucketMs), current - this.#buckets);
    for (; bucket <= current; bucket++) {
      const start = Math.max(from, bucket * this.#bucketMs);
      const end = Math.min(to, (bucket + 1) * this.#bucketMs);
      this.#grown.set(bucket, (this.#grown.get(bucket) ?? 0) + Math.max(end - start, 0) * perMs);
    }
  }

  /**
   * By how much it grew in each stretch that is over, the oldest first. Undefined where that was before the first total, or
   * after the last one.
   */
  read(now: number): readonly (number | undefined)[] {
    const current = Math.floor(now / this.#bucketMs);
    for (const bucket of this.#grown.keys()) {
      if (bucket < current - this.#buckets) {
        this.#grown.delete(bucket);
      }
    }
    const known = this.#last === undefined ? 0 : Math.floor(this.#last.at / this.#bucketMs);
    return Array.from({ length: this.#buckets }, (_, index) => {
      const bucket = current - this.#buckets + index;
      const isKnown = this.#last !== undefined && bucket >= this.#first && bucket < known;
      return isKnown ? (this.#grown.get(bucket) ?? 0) : undefined;
    });
  }
}
