/**
 * Turns a growing total into its growth in each of a row of equal intervals.
 *
 * @internal
 */
export class Rates {
  readonly #bucketMs: number;
  readonly #buckets: number;
  /** The growth by the number of the interval. Only those that are read are kept. */
  readonly #grown = new Map<number, number>();
  /** The first interval that is known from its beginning. */
  #first = 0;
  #last: { readonly at: number; readonly total: number } | undefined;

  constructor(bucketMs: number, buckets: number) {
    this.#bucketMs = bucketMs;
    this.#buckets = buckets;
  }

  /**
   * Notes that the total is `total` at `at`, in milliseconds. The growth since the previous call is spread over the
   * time between.
   */
  add(at: number, total: number): void {
    const last = this.#last;
    if (last === undefined) {
      this.#first = Math.ceil(at / this.#bucketMs);
    } else if (at <= last.at) {
      return;
    } else if (total > last.total) {
      this.#spread(last.at, at, total - last.total);
    }
    // A total that has shrunk was restarted, and its growth is unknown.
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
   * The growth in each interval that is over, the oldest first; undefined for those before the first total and after
   * the last one.
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
