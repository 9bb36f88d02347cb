/**
 * A component's view of a topic, kept outside of React: one subscription, and a snapshot that changes only as a whole.
 */

import type { TidegateError } from '../errors.js';
import type { EndReason, Subscriber, Update } from '../types.js';
import { type Pace, type Source, Subscribed } from './subscribed.js';

/** The state of a topic, for a component. It is the same object until something changes. */
export type TopicState<T = unknown> =
  /** Nothing has arrived yet, or the server has forgotten the topic that was shown. `data` is `initial`. */
  | {
      readonly status: 'waiting';
      readonly data: T | undefined;
      readonly update: undefined;
      readonly end: undefined;
      readonly error: undefined;
    }
  /** `data` is the newest. It is `stale` if the connection is lost, or the server has lost touch with its backend. */
  | {
      readonly status: 'live' | 'stale';
      readonly data: T;
      readonly update: Update<T>;
      readonly end: undefined;
      readonly error: undefined;
    }
  /** The topic has ended. `end` says why. */
  | {
      readonly status: 'ended';
      readonly data: T | undefined;
      readonly update: Update<T> | undefined;
      readonly end: EndReason;
      readonly error: undefined;
    }
  /** The subscription could not be made, or is over. `error` says why; `data` is the last that arrived. */
  | {
      readonly status: 'failed';
      readonly data: T | undefined;
      readonly update: Update<T> | undefined;
      readonly end: undefined;
      readonly error: TidegateError;
    };

/**
 * The state of a topic before anything is known.
 *
 * @internal
 */
export function waiting<T>(initial: T | undefined): TopicState<T> {
  return { status: 'waiting', data: initial, update: undefined, end: undefined, error: undefined };
}

/**
 * The state of a topic after an update.
 *
 * @internal
 */
export function known<T>(status: 'live' | 'stale', update: Update<T>): TopicState<T> {
  return { status, data: update.data, update, end: undefined, error: undefined };
}

/**
 * The state of a topic that has ended.
 *
 * @internal
 */
export function ended<T>({ data, update }: TopicState<T>, end: EndReason): TopicState<T> {
  return { status: 'ended', data, update, end, error: undefined };
}

/**
 * The state of a topic whose subscription has failed.
 *
 * @internal
 */
export function failed<T>({ data, update }: TopicState<T>, error: TidegateError): TopicState<T> {
  return { status: 'failed', data, update, end: undefined, error };
}

/**
 * The state after the connection was lost or regained; the same object if nothing differs.
 *
 * @internal
 */
export function freshened<T>(state: TopicState<T>, status: 'live' | 'stale'): TopicState<T> {
  const isOther = (state.status === 'live' || state.status === 'stale') && state.status !== status;
  return isOther ? { ...state, status } : state;
}

/**
 * Keeps the newest update of all topics that the pattern matches.
 *
 * @internal
 */
export class TopicStore<T> extends Subscribed<T, TopicState<T>> {
  readonly #first: TopicState<T>;
  #known: TopicState<T>;

  constructor(
    from: Subscriber | null,
    pattern: string | null,
    source: Source & { readonly initial?: T | undefined },
    pace: Pace,
  ) {
    const first = waiting(source.initial);
    super(from, pattern, source, pace, first);
    this.#first = first;
    this.#known = first;
  }

  protected override show(): void {
    this.set(this.#known);
  }

  #know(state: TopicState<T>, isUrgent = true): void {
    this.#known = state;
    this.changed(isUrgent);
  }

  protected override take(update: Update<T>): void {
    this.#know(known(this.freshness(), update), update.end !== undefined);
  }

  /** Shows nothing of the topic, unless it has ended. */
  protected override forget(topic: string): void {
    const { status, update } = this.#known;
    const hasEnded = status === 'ended' || update?.end !== undefined;
    if (!hasEnded && update?.topic === topic) {
      this.#know(this.#first);
    }
  }

  protected override end(reason: EndReason): void {
    this.#know(ended(this.#known, reason));
  }

  protected override fail(error: TidegateError): void {
    this.#know(failed(this.#known, error));
  }

  protected override recover(): void {
    const { status, data, update } = this.#known;
    if (status === 'failed') {
      this.#know(update === undefined ? waiting(data) : known(this.freshness(), update));
    }
  }

  protected override freshen(freshness: 'live' | 'stale'): void {
    const state = freshened(this.#known, freshness);
    if (state !== this.#known) {
      this.#know(state);
    }
  }

  protected override isOver(): boolean {
    const { status } = this.#known;
    return status === 'ended' || status === 'failed';
  }
}
