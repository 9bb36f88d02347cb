/// <reference lib="esnext.disposable" preserve="true" />

import type { TidegateError } from './errors.js';

/** Why a topic ended: the work was completed, failed, or was cancelled. */
export type EndReason = 'complete' | 'failed' | 'cancelled';

/**
 * A position in a topic's history. Within an epoch, offsets rise by one with each publication; another epoch is another
 * history.
 */
export interface Position {
  /** The history that `offset` belongs to. Epochs can only be compared for equality. */
  readonly epoch: number;
  /** The number of publications of that history at or before this position. */
  readonly offset: number;
}

/** The position of one topic, to resume from. */
export interface TopicPosition extends Position {
  readonly topic: string;
}

/** A publication, as a handler receives it. All handlers share it: treat it and its data as read-only. */
export interface Update<T = unknown> extends Position {
  /** The topic it was published to. */
  readonly topic: string;
  /** The payload. Your type parameter is trusted: nothing checks it. */
  readonly data: T;
  /** Set on a topic's last publication. */
  readonly end?: EndReason;
}

/** A duration: milliseconds as a number, or a text such as `'250ms'`, `'1s'`, `'1.5s'`, `'2m'`, `'1h'`. */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m` | `${number}h`;

/**
 * Combines the data of an older and a newer update of the same topic. It must not change either: others may use them,
 * too.
 *
 * If it throws, the error is reported as uncaught and nothing is lost: both updates are delivered.
 */
// biome-ignore lint/suspicious/noExplicitAny: data is what its publisher made it; a reducer that names a type is taken at its word
export type Reducer<T = any> = (older: T, newer: T) => T;

/**
 * What happens to publications that wait: the newest replaces the older ones (`'latest'`), is merged into them as an
 * RFC 7396 patch (`'merge'`), or is added to them field by field (`'sum'`); or a {@link Reducer} of your own combines
 * them. A server can't call your function, so all publications come over the connection, in batches; it is called early
 * when 5,000 wait. To get all publications, use {@link Collect}.
 */
export type Conflation = 'latest' | 'merge' | 'sum' | Reducer;

/**
 * Delivers publications that wait as one array. It is delivered early when it contains `collect` of them, at most
 * 10,000.
 */
export interface Collect {
  readonly collect: number;
}

/** The flow of a subscription: how often it receives updates. Durations are between 1 ms and 24 h. */
export interface FlowOptions {
  /**
   * At most one update per topic in this time: two updates are never closer together, and the last one always arrives.
   * `'frame'` is one update per topic and frame that the browser draws; a live subscription can't change to or from it.
   */
  readonly throttle?: Duration | 'frame' | undefined;
  /** An update once nothing has been published for this time. Not together with `throttle`. */
  readonly debounce?: Duration | undefined;
  /** The longest time for which a debounced update is delayed. */
  readonly maxWait?: Duration | undefined;
  /**
   * Whether the first publication of a burst is delivered at once. Default: true for `throttle`, false for `debounce`.
   */
  readonly leading?: boolean | undefined;
  /** Whether publications that arrive in the meantime are delivered at the end. Default: true. */
  readonly trailing?: boolean | undefined;
  /** What happens to publications that arrive in the meantime. Default: `'latest'`. */
  readonly conflate?: Conflation | undefined;
  /**
   * Lets the server send only what has changed, where that is shorter; updates are still complete. For large values of
   * which little changes at a time. Not with `{ collect: n }` or reducers. Default: false.
   */
  readonly delta?: boolean | undefined;
}

/** The flow of a subscription whose handler receives arrays. */
export interface CollectFlowOptions extends Omit<FlowOptions, 'conflate'> {
  readonly conflate: Collect;
}

/** Callbacks for what a subscription reports besides updates. */
export interface SubscriptionEvents {
  /**
   * The topic has ended, and the subscription with it; the terminal update came just before. Not called when you
   * unsubscribe. A subscription to a pattern with wildcards outlives its topics.
   */
  readonly onEnd?: ((reason: EndReason) => void) | undefined;
  /** Everything between the last update and this position is lost; the latest value follows, if there is one. */
  readonly onReset?: ((at: TopicPosition) => void) | undefined;
  /**
   * The page or its connection was too slow: `missed` updates were dropped, the oldest first. For an iterator, this is
   * also called when its next update is requested, with the number that found no room in its `buffer`.
   */
  readonly onLagged?: ((missed: number) => void) | undefined;
  /**
   * The subscription could not be made, or was lost; it is over. Without this callback, the error is reported as
   * uncaught.
   */
  readonly onError?: ((error: TidegateError) => void) | undefined;
}

/**
 * What happens to updates while a connection is too slow. Terminal updates and the newest one of each topic always
 * arrive.
 *
 * - `'conflate'`: one update of each topic waits, the newest. There is no notice.
 * - `'drop'`: all wait; at the server's limit the oldest are dropped, and `onLagged` says how many.
 * - `'disconnect'`: all wait; at the limit the server closes the connection, and everything on it resumes on the next
 *   one.
 */
export type Slow = 'conflate' | 'drop' | 'disconnect';

/** Options of a subscription. */
export interface SubscribeOptions extends FlowOptions, SubscriptionEvents {
  /** Whether to start with the latest value of each topic, if it has one. Default: true. */
  readonly latest?: boolean | undefined;
  /**
   * Resumes after these positions: the publications since then are delivered, or `onReset` is called and the latest
   * value follows. A topic without a position here starts with its latest value, if the pattern is its name; with a
   * wildcard pattern, it starts with all of its publications, if all are still kept, and otherwise with `onReset` and
   * its latest value. `null` is the same as not given, for when nothing was stored.
   */
  readonly since?: TopicPosition | readonly TopicPosition[] | null | undefined;
  /**
   * The name of a durable subscription, such as a device's. The server remembers under it which updates were processed,
   * and a later subscription with the same name gets those that were not. An update is processed when its handler has
   * returned, or when the promise that it returned has resolved; not if it throws. What one subscription with the name
   * has processed counts for all of them, in a page and in tabs that share a connection; one that joins starts with
   * what nobody has processed. The server is told within a second: a page that is reloaded sooner gets the same updates
   * again. If the server doesn't authenticate its clients, use a text that nobody can guess. Only for connections, and
   * not paced by frames.
   */
  readonly durable?: string | undefined;
  /**
   * What happens to updates while the connection is too slow. Default: `'conflate'` with a pace, `'drop'` without.
   * Subscriptions with the same pattern get the policy that loses least. Only for connections; not with `durable`, and
   * not paced by frames.
   */
  readonly slow?: Slow | undefined;
  /** Unsubscribes when it is aborted. */
  readonly signal?: AbortSignal | null | undefined;
}

/** Options of a subscription whose handler receives arrays. */
export interface CollectOptions extends Omit<SubscribeOptions, 'conflate'> {
  readonly conflate: Collect;
}

/**
 * A live subscription. Calling it ends it, and so does `using`. The type parameter is the kind of flow that it can
 * change to: with `{ collect: n }` if its handler receives arrays, otherwise without.
 */
export interface Subscription<Flow = FlowOptions | CollectFlowOptions> extends Disposable {
  /** Ends the subscription: its handler is not called any more. Calling it again does nothing. */
  (): void;
  /** The topic or pattern. */
  readonly pattern: string;
  /** Whether updates may still arrive. */
  readonly active: boolean;
  /**
   * Changes the flow. Updates that are pending stay pending under the new pace.
   *
   * @throws {@link TidegateError} with code `bad_flow` or `bad_option`; the pace is as it was. While a new connection
   * is still loading its core, an error that only the core can find ends the subscription and is reported to `onError`.
   */
  setFlow(flow: Flow): void;
  /** Ends a durable subscription for good: the server forgets its position, if it is connected. */
  forget(): void;
}

/**
 * What an iterator does when `buffer` updates are waiting and another one arrives. `onLagged` says how many were
 * dropped.
 *
 * - `'latest'`: it replaces the newest one of its topic, so the last value of every topic stays; if none of its topic
 *   is waiting, the oldest is dropped. A terminal update is never dropped.
 * - `'drop-oldest'`: the oldest is dropped, but never a terminal update.
 * - `'error'`: the iterator fails with code `overflow`, after those that are waiting.
 */
export type Overflow = 'latest' | 'drop-oldest' | 'error';

/** Options of {@link Subscriber.watch}. */
export interface WatchOptions extends Omit<SubscribeOptions, 'onEnd' | 'onError' | 'durable'> {
  /**
   * How many updates (or arrays of them) may wait to be read, at least 1. Updates that arrive together wait, too,
   * before even the fastest loop gets its turn: one message brings 64 publications or more, and in Node one read from
   * the socket brings thousands. Default: 10,000.
   */
  readonly buffer?: number | undefined;
  /** What happens when more arrive. Default: `'latest'`. */
  readonly overflow?: Overflow | undefined;
}

/** Options of {@link Subscriber.watch} for arrays of updates. */
export interface CollectWatchOptions extends Omit<WatchOptions, 'conflate'> {
  readonly conflate: Collect;
}

/** Updates for a `for await` loop. `await using` ends them if the loop doesn't. */
export interface Updates<Item> extends AsyncIterableIterator<Item, undefined>, AsyncDisposable {}

/** Options of a publish. */
export interface PublishOptions {
  /**
   * Makes this the topic's last publication. Without it, a `status` of COMPLETE, FAILED or CANCELLED in the data does
   * so, in any letter case; `'none'` is for data whose `status` isn't about the topic.
   */
  readonly end?: EndReason | 'none' | undefined;
  /** Idempotency key: publishing again with the same key to the same topic does nothing. At most 128 bytes. */
  readonly id?: string | undefined;
  /** Starts the topic anew if it has ended, instead of failing with code `topic_ended`. */
  readonly restart?: boolean | undefined;
}

/** What both a hub within the page and a connection to a server offer to subscribers. */
export interface Subscriber {
  /**
   * Calls `handler` with an array of updates for each emission.
   *
   * @throws {@link TidegateError} as below.
   */
  subscribe<T = unknown>(
    pattern: string,
    options: CollectOptions,
    handler: (updates: readonly Update<T>[]) => unknown,
  ): Subscription<CollectFlowOptions>;
  /**
   * Calls `handler` for every update of a topic, such as `job:42`, or of all topics that match a pattern: `*` is one
   * segment, a last `**` is one or more.
   *
   * @throws {@link TidegateError} with code `bad_topic`, `bad_flow` or `bad_option`. A new connection loads its core
   * first: errors that only the core can find are then reported to `onError`, as are a server's refusals.
   */
  subscribe<T = unknown>(
    pattern: string,
    options: SubscribeOptions | undefined,
    handler: (update: Update<T>) => unknown,
  ): Subscription<FlowOptions>;
  /** Calls `handler` for every update, at once. */
  subscribe<T = unknown>(pattern: string, handler: (update: Update<T>) => unknown): Subscription<FlowOptions>;

  /**
   * The updates as an async iterator. It subscribes when the first update is requested, and ends by itself after the
   * topic's terminal update, or when the signal is aborted. Leaving the loop unsubscribes.
   *
   * @throws (as a rejection of the first `next()`) {@link TidegateError} as `subscribe` does, and later with the error
   * that ends the subscription; at once with code `bad_option`, if `buffer` is no whole number of at least 1.
   */
  watch<T = unknown>(pattern: string, options: CollectWatchOptions): Updates<readonly Update<T>[]>;
  watch<T = unknown>(pattern: string, options?: WatchOptions): Updates<Update<T>>;
}
