/** What a component knows of a topic, outside of React: one subscription, and a snapshot that changes only as a whole. */

import { TidegateError } from '../errors.js';
import type { Tide } from '../tide-types.js';
import type { EndReason, FlowOptions, Subscriber, Subscription, TopicPosition, Update } from '../types.js';
import { Lingering } from './lingering.js';

/** Options of a topic's subscription that can't change while it lasts. */
export interface TopicSource<T> {
  readonly latest?: boolean;
  readonly since?: TopicPosition | readonly TopicPosition[];
  readonly initial?: T;
}

/** What a component is shown of a topic. The same object until something changes. */
export type TopicState<T = unknown> =
  /** Nothing came yet. `data` is what was given as `initial`. */
  | {
      readonly status: 'waiting';
      readonly data: T | undefined;
      readonly update: undefined;
      readonly end: undefined;
      readonly error: undefined;
    }
  /** `data` is the newest, as far as a live connection knows; when `stale`, as far as a lost one knew. */
  | {
      readonly status: 'live' | 'stale';
      readonly data: T;
      readonly update: Update<T>;
      readonly end: undefined;
      readonly error: undefined;
    }
  /** The topic ended: no more comes. `end` says how. */
  | {
      readonly status: 'ended';
      readonly data: T | undefined;
      readonly update: Update<T> | undefined;
      readonly end: EndReason;
      readonly error: undefined;
    }
  /** The subscription could not be made, or was lost for good. `error` says why; `data` is the last that came. */
  | {
      readonly status: 'failed';
      readonly data: T | undefined;
      readonly update: Update<T> | undefined;
      readonly end: undefined;
      readonly error: Error;
    };

/**
 * The state of a topic that nothing is known of.
 *
 * @internal
 */
export function waiting<T>(initial: T | undefined): TopicState<T> {
  return { status: 'waiting', data: initial, update: undefined, end: undefined, error: undefined };
}

function isTide(subscriber: Subscriber): subscriber is Tide {
  return 'on' in subscriber;
}

/**
 * A subscription that lasts while somebody listens.
 *
 * @internal
 */
export class TopicStore<T> extends Lingering<TopicState<T>> {
  readonly #from: Subscriber | null;
  readonly #pattern: string | null;
  readonly #source: TopicSource<T>;
  #flow: FlowOptions;
  #flowKey: string;
  #subscription: Subscription | undefined;
  #stopFollowing: (() => void) | undefined;

  constructor(
    from: Subscriber | null,
    pattern: string | null,
    source: TopicSource<T>,
    flow: FlowOptions,
    flowKey: string,
  ) {
    super(waiting(source.initial));
    this.#from = from;
    this.#pattern = pattern;
    this.#source = source;
    this.#flow = flow;
    this.#flowKey = flowKey;
  }

  /** Changes how often updates come; the subscription and what it knows stay. `key` is equal for equal flows. */
  setFlow(flow: FlowOptions, key: string): void {
    if (key === this.#flowKey) {
      return;
    }
    this.#flow = flow;
    this.#flowKey = key;
    try {
      this.#subscription?.setFlow(flow);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  protected override open(): void {
    if (this.#subscription !== undefined || this.#from === null || this.#pattern === null) {
      return;
    }
    const { latest, since } = this.#source;
    try {
      this.#subscription = this.#from.subscribe<T>(
        this.#pattern,
        {
          ...this.#flow,
          ...(latest === undefined ? {} : { latest }),
          ...(since === undefined ? {} : { since }),
          onEnd: (end) => this.#end(end),
          onError: (error) => this.#fail(error),
        },
        (update) => this.#take(update),
      );
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    if (isTide(this.#from)) {
      this.#stopFollowing = this.#from.on('state', () => this.#refresh());
      this.#refresh();
    }
  }

  protected override close(): void {
    this.#stopFollowing?.();
    this.#stopFollowing = undefined;
    this.#subscription?.();
    this.#subscription = undefined;
  }

  #take(update: Update<T>): void {
    this.set({ status: this.#freshness(), data: update.data, update, end: undefined, error: undefined });
  }

  #end(end: EndReason): void {
    const { data, update } = this.state();
    this.set({ status: 'ended', data, update, end, error: undefined });
  }

  #fail(error: Error): void {
    const { data, update } = this.state();
    this.set({ status: 'failed', data, update, end: undefined, error });
  }

  /** The connection's state has changed, or was not looked at for a while. */
  #refresh(): void {
    const state = this.state();
    const connection = (this.#from as Tide).state;
    if (state.status === 'ended' || state.status === 'failed') {
      return;
    }
    if (connection.status === 'closed') {
      this.#fail(connection.error ?? new TidegateError('closed', 'the connection was closed'));
    } else if (state.status !== 'waiting' && state.status !== this.#freshness()) {
      this.set({ ...state, status: this.#freshness() });
    }
  }

  #freshness(): 'live' | 'stale' {
    const from = this.#from as Subscriber;
    return isTide(from) && from.state.status !== 'connected' ? 'stale' : 'live';
  }
}
