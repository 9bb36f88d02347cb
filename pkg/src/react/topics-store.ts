/** What a component knows of all topics that a pattern matches, outside of React. */

import type { TidegateError } from '../errors.js';
import type { EndReason, Subscriber, Update } from '../types.js';
import { type Pace, type Source, Subscribed } from './subscribed.js';
import { ended, failed, freshened, known, type TopicState, waiting } from './topic-store.js';

/**
 * The states of many topics, for a component, in the order in which they were first seen. It is the same map until
 * something changes.
 */
export type TopicStates<T = unknown> = ReadonlyMap<string, TopicState<T>>;

/** How many topics are kept, if nothing else is said. */
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
  /** Their names, the one of which no update came for longest first. */
  readonly #heard: Set<string>;
  /** Why all of them have failed. Their pattern is shown as if it were a topic. */
  #failure: { readonly pattern: string; readonly error: TidegateError } | undefined;
  #isChanged = false;

  constructor(from: Subscriber | null, pattern: string | null, source: TopicsSource<T>, pace: Pace) {
    const initial = Object.entries(source.initial ?? {});
    const first = new Map(initial.map(([topic, data]) => [topic, waiting(data)]));
    // Each topic keeps its own pace: without frames, many of them would be drawn with every message that comes.
    super(from, pattern, source, pace, first, true);
    this.#topics = new Map(first);
    this.#heard = new Set(first.keys());
    this.#keep = source.keep ?? KEEP_DEFAULT;
  }

  protected override take(update: Update<T>): void {
    this.recover();
    const { topic, end } = update;
    const state = known(this.freshness(), update);
    this.#topics.set(topic, end === undefined ? state : ended(state, end));
    this.#heard.delete(topic);
    this.#heard.add(topic);
    if (this.#topics.size > this.#keep) {
      this.#forgetOne();
    }
    this.changed(end !== undefined);
  }

  /** One that has ended, or else one of which nothing came for longest. */
  #forgetOne(): void {
    const heard = [...this.#heard];
    const topic = heard.find((name) => this.#topics.get(name)?.status === 'ended') ?? heard[0]!;
    this.#topics.delete(topic);
    this.#heard.delete(topic);
  }

  /** One that has ended stays as it ended. */
  protected override forget(topic: string): void {
    if (this.#topics.get(topic)?.status !== 'ended') {
      this.#topics.delete(topic);
      this.#heard.delete(topic);
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

  /** What is handed over together is shown together. */
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
