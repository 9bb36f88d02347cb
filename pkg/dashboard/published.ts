import type { Update } from 'tidegate';

/** How many topics are remembered, until all are forgotten and begin anew: more than a client resumes a pattern with. */
const TOPICS_MAX = 10_000;

type At = Pick<Update, 'topic' | 'epoch' | 'offset'>;

/**
 * How much was published to the topics that a page follows, by their offsets: so also what was not sent here. The first that is
 * heard of a topic says where its count begins.
 */
export class Published {
  /** Where each topic was when it was heard of last. */
  readonly #positions = new Map<string, { readonly epoch: number; readonly offset: number }>();
  /** The publications since then, of all topics. */
  total = 0;

  /** Notes where a topic is. One that was forgotten begins anew, with what comes after. */
  note({ topic, epoch, offset }: At): void {
    const now = { epoch, offset };
    const before = this.#positions.get(topic) ?? now;
    this.total += Math.max(offset - (before.epoch === epoch ? before.offset : 0), 0);
    this.#positions.set(topic, now);
    if (this.#positions.size > TOPICS_MAX) {
      this.#positions.clear();
    }
  }
}
