/** Numbers topics: they cross into a core as small integers, so that a topic's text crosses only once. */

import type { Core } from './core.js';
import { topicText } from './options.js';
import { Kind } from './records.js';

/** From this many topics on, numbers that nothing uses are freed. */
const SWEEP_FROM = 4096;

/** @internal */
export class Topics {
  readonly #core: Core;
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  #sweepAt = SWEEP_FROM;
  #era = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The number of a topic.
   *
   * Use the number in the very next call into the core: later, it may have been freed.
   *
   * @throws {@link TidegateError} with code `bad_topic`.
   */
  number(topic: string): number {
    if (this.#era !== this.#core.era) {
      this.#numbers.clear();
      this.#era = this.#core.era;
    }
    return this.#numbers.get(topic) ?? this.#intern(topic);
  }

  #intern(topic: string): number {
    const core = this.#core;
    topicText(topic);
    if (this.#numbers.size >= this.#sweepAt) {
      core.forEachRecord(core.calls.sweep_topics(), ({ kind, topic: number }) => {
        if (kind === Kind.TopicForgotten) {
          this.#numbers.delete(this.#names[number]!);
        }
      });
      this.#sweepAt = Math.max(SWEEP_FROM, this.#numbers.size * 2);
    }
    const number = core.attempt(() => core.calls.intern_topic(core.text(topic)));
    this.#numbers.set(topic, number);
    this.#names[number] = topic;
    return number;
  }

  /** The topic with a number that the core named. */
  name(number: number): string {
    return this.#names[number]!;
  }
}
