/** A component's view of all topics that a pattern matches, kept outside of React. */

import type { TidegateError } from '../errors.js';
import type { EndReason, Subscriber, Update } from '../types.js';
import { type Pace, type Source, Subscribed } from './subscribed.js';
import { ended, failed, freshened, known, type TopicState, waiting } from './topic-store.js';

/**
 * The states of many topics, for a component, in the order in which they were first seen. It is the same map until
 * something changes.
 */
export type TopicStates<T = unknown> = ReadonlyMap<string, TopicState<T>>;

/** The default of `keep`. */
const KEEP_DEFAULT = 1_000;

/** @internal */
export interface TopicsSource<T> extends Source {
  readonly initial?: Readonly<Record<string, T>> | undefined;
  /** How many topics are kept. */
  readonly keep?: number | undefined;
}

/** @internal */
export class TopicsStore<T> extends Subscribed<T, TopicStates<T>> {
  readonly #keep: number;
  readonly #topics: Map<string, TopicState<T>>;
  /** The topics' names, the one that has been silent for longest first. */
  readonly #order: Set<string>;
  /** Why the subscription failed. It is shown under the pattern, as if that were a topic. */
  #failure: { readonly pattern: string; readonly error: TidegateError } | undefined;
  #isChanged = false;

  constructor(from: Subscriber | null, pattern: string | null, source: TopicsSource<T>, pace: Pace) {
    const initial = Object.entries(source.initial ?? {});
    const first = new Map(initial.map(([topic, data]) => [topic, waiting(data)]));
    // Each topic has a pace of its own: without frames, many topics together would render with every message.
    super(from, pattern, source, pace, first, true);
    this.#topics = new Map(first);
    this.#order = new Set(first.keys());
    this.#keep = source.keep ?? KEEP_DEFAULT;
  }

  protected override take(update: Update<T>): void {
    this.recover();
    const { topic, end } = update;
    const state = known(this.freshness(), update);
    this.#topics.set(topic, end === undefined ? state : ended(state, end));
    this.#order.delete(topic);
    this.#order.add(topic);
    if (this.#topics.size > this.#keep) {
      this.#forgetOne();
    }
    this.changed(end !== undefined);
  }

  /** Drops a topic that has ended, or else the one that has been silent for longest. */
  #forgetOne(): void {
    const order = [...this.#order];
    const topic = order.find((name) => this.#topics.get(name)?.status === 'ended') ?? order[0]!;
    this.#topics.delete(topic);
    this.#order.delete(topic);
  }

  /** Removes the topic, unless it has ended. */
  protected override forget(topic: string): void {
    if (this.#topics.get(topic)?.status !== 'ended') {
      this.#topics.delete(topic);
      this.#order.delete(topic);
      this.changed(true);
    }
  }

  /** Only a pattern without wildcards ends. */
  protected override end(reason: EndReason, topic: string): void {
    this.#topics.set(topic, ended(this.#topics.get(topic) ?? waiting<T>(undefined), reason));
    this.changed(true);
  }

  protected override fail(error: TidegateError, pattern: string): void {
    this.#failure = { pattern, error };
    this.changed(true);
  }

  protected override recover(): void {
    if (this.#failure !== undefined) {
      this.#failure = undefined;
      this.freshen(this.freshness());
      this.changed(true);
    }
  }

  protected override freshen(freshness: 'live' | 'stale'): void {
    for (const [topic, state] of this.#topics) {
      const next = freshened(state, freshness);
      if (next !== state) {
        this.#topics.set(topic, next);
        this.changed(true);
      }
    }
  }

  protected override isOver(): boolean {
    return this.#failure !== undefined;
  }

  /** Shows updates together that are delivered together. */
  protected override show(): void {
    if (!this.#isChanged) {
      this.#isChanged = true;
      queueMicrotask(() => {
        this.#isChanged = false;
        this.set(this.#shown());
      });
    }
  }

  #shown(): TopicStates<T> {
    const shown = new Map(this.#topics);
    if (this.#failure !== undefined) {
      const { pattern, error } = this.#failure;
      for (const [topic, state] of this.#topics) {
        if (state.status !== 'ended') {
          shown.set(topic, failed(state, error));
        }
      }
      shown.set(pattern, failed(shown.get(pattern) ?? waiting<T>(undefined), error));
    }
    return shown;
  }
}
