import type { Update } from 'tidegate';

/** How many topics are remembered. One more, and all are forgotten and counted anew: a client resumes a pattern with fewer. */
const TOPICS_MAX = 10_000;

type At = Pick<Update, 'topic' | 'epoch' | 'offset'>;

/**
 * Counts the publications to the topics that a page follows by their offsets, so that it includes those that were not sent to
 * the page. The first update of a topic is where its count begins.
 */
export class Published {
  /** The last known position of each topic. */
  readonly #positions = new Map<string, { readonly epoch: number; readonly offset: number }>();
  /** The publications since then, to all topics. */
  total = 0;

  /** Notes an update. The count of a forgotten topic begins again with the next one. */
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
