/// <reference lib="esnext.disposable" preserve="true" />

import type { TidegateError } from './errors.js';

/** Why a topic ended: the work was done, went wrong, or was called off. */
export type EndReason = 'complete' | 'failed' | 'cancelled';

/** A place in a topic's history. Offsets rise by one with each publication; another epoch is another history. */
export interface Position {
  /** Which history. Compare it for equality only. */
  readonly epoch: number;
  /** How many publications of that history lie at or before this place. */
  readonly offset: number;
}

/** The position of one topic, to resume from. */
export interface TopicPosition extends Position {
  readonly topic: string;
}

/** A publication as a handler gets it. It is shared by all handlers: treat it and its data as read-only. */
export interface Update<T = unknown> extends Position {
  /** Where it was published. */
  readonly topic: string;
  /** The payload. Your type parameter is taken at its word: nothing checks it. */
  readonly data: T;
  /** Set on a topic's last publication. */
  readonly end?: EndReason;
}

/** A length of time: milliseconds as a number, or a text such as `'250ms'`, `'1s'`, `'1.5s'`, `'2m'`, `'1h'`. */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m` | `${number}h`;

/**
 * Makes the data of one update of that of two of the same topic. It must leave both as they are: others may have them, too.
 *
 * When it throws, the error is reported, and nothing is lost: what it was to make one of comes as two updates.
 */
// biome-ignore lint/suspicious/noExplicitAny: data is what its publisher made it; a reducer that names a type is taken at its word
export type Reducer<T = any> = (older: T, newer: T) => T;

/**
 * What becomes of publications that wait: the newest replaces the older ones (`'latest'`), is merged over
 * them as an RFC 7396 patch (`'merge'`), has its numbers added to theirs field by field (`'sum'`), or a {@link Reducer} of
 * your own makes one of them. A server can't call that, so all of them come over the connection, in batches; what it makes
 * leaves early when 5,000 wait. To have all of them, {@link Collect}.
 */
export type Conflation = 'latest' | 'merge' | 'sum' | Reducer;

/** Publications that wait are handed over as one array, which leaves early when it holds `collect` of them, at most 10,000. */
export interface Collect {
  readonly collect: number;
}

/** How often a subscription wants to hear. Durations are between 1 ms and 24 h. */
export interface FlowOptions {
  /**
   * At most one update per this time: two updates are never closer together. The last one always comes. `'frame'` is one
   * update per topic and frame that the browser draws; a subscription is paced by frames from its beginning or never.
   */
  readonly throttle?: Duration | 'frame' | undefined;
  /** An update when nothing was published for this time. Not together with `throttle`. */
  readonly debounce?: Duration | undefined;
  /** The longest that a debounced update is put off. */
  readonly maxWait?: Duration | undefined;
  /** Whether the first of a burst comes at once. Default: true for `throttle`, false for `debounce`. */
  readonly leading?: boolean | undefined;
  /** Whether what came meanwhile is delivered at the end. Default: true. */
  readonly trailing?: boolean | undefined;
  /** What becomes of what comes meanwhile. Default: `'latest'`. */
  readonly conflate?: Conflation | undefined;
  /**
   * Have the server send what has changed in place of whole values, where that is shorter; updates are whole all the same. For
   * large values of which little changes at a time. Not with `{ collect: n }` and reducers. Default: false.
   */
  readonly delta?: boolean | undefined;
}

/** How often a subscription wants to hear whose handler gets arrays. */
export interface CollectFlowOptions extends Omit<FlowOptions, 'conflate'> {
  readonly conflate: Collect;
}

/** What a handler may learn besides updates. Each is optional. */
export interface SubscriptionEvents {
  /**
   * The subscription is over: its topic ended (the terminal update came just before). Not called when you
   * unsubscribe. A subscription to a pattern with wildcards outlives its topics.
   */
  readonly onEnd?: ((reason: EndReason) => void) | undefined;
  /** What lay between the last update and this position is lost; the latest value follows, if there is one. */
  readonly onReset?: ((at: TopicPosition) => void) | undefined;
  /**
   * This page or its connection was too slow: so many updates were dropped, the oldest first. Of an iterator this also tells, when its next
   * update is asked for, how many found no room in its `buffer` meanwhile.
   */
  readonly onLagged?: ((missed: number) => void) | undefined;
  /** The subscription could not be made, or was lost. It is over then. Without this, the error is reported as uncaught. */
  readonly onError?: ((error: TidegateError) => void) | undefined;
}

/**
 * What becomes of updates while a connection takes less than is published. Terminal updates and each topic's newest one always arrive.
 *
 * - `'conflate'`: one update of each topic waits, the newest. Nothing is told.
 * - `'drop'`: all wait; at the server's limit the oldest are dropped, and `onLagged` tells how many.
 * - `'disconnect'`: all wait; at the limit the server closes the connection, which is resumed, with all that it carries.
 */
export type Slow = 'conflate' | 'drop' | 'disconnect';

/** Options of a subscription. */
export interface SubscribeOptions extends FlowOptions, SubscriptionEvents {
  /** Whether the topic's latest value is wanted first, if it has one. Default: true. */
  readonly latest?: boolean | undefined;
  /**
   * Resume after these positions: what was missed since is delivered, or `onReset` says that it is lost, and the latest value
   * follows. A topic that is not among them starts with its latest value, if the pattern is its name; one that a
   * pattern with wildcards matches starts with all of its publications, if all are still kept. `null` is none, as from
   * where nothing was stored.
   */
  readonly since?: TopicPosition | readonly TopicPosition[] | null | undefined;
  /**
   * A name, such as a device's, by which the server remembers which updates were dealt with: whoever subscribes under it later gets
   * those that were not. An update is dealt with when its handler has returned, or when the promise that it has returned resolves; not when it
   * throws. What one subscription of a device has dealt with, all have, in a page and in tabs that share a connection; one that joins
   * starts with what nobody has dealt with. The server is told within a second: who reloads sooner gets the same again. Where it doesn't
   * ask who you are, use a text that nobody guesses. Only for connections, and not paced by frames.
   */
  readonly durable?: string | undefined;
  /**
   * What becomes of updates while the connection takes less than is published. Default: `'conflate'` with a pace, `'drop'` without. Of
   * subscriptions with the same pattern the server is told what loses least. Only for connections; not with `durable`, and not
   * paced by frames.
   */
  readonly slow?: Slow | undefined;
  /** Unsubscribes when it aborts. */
  readonly signal?: AbortSignal | null | undefined;
}

/** Options of a subscription whose handler gets arrays. */
export interface CollectOptions extends Omit<SubscribeOptions, 'conflate'> {
  readonly conflate: Collect;
}

/**
 * A live subscription. Calling it ends it; so does `using`. Where it comes from is known which `Flow` it may change to: one with
 * `{ collect: n }`, if its handler gets arrays, or one without.
 */
export interface Subscription<Flow = FlowOptions | CollectFlowOptions> extends Disposable {
  /** Ends the subscription; no handler of it is called from now on. Once is enough, more is harmless. */
  (): void;
  /** What it is subscribed to. */
  readonly pattern: string;
  /** Whether updates may still come. */
  readonly active: boolean;
  /**
   * Changes how often updates come. What is pending stays pending under the new pace.
   *
   * @throws {@link TidegateError} with code `bad_flow` or `bad_option`; the pace is as it was. While a connection that was just
   * made loads its core, what only that finds wrong ends the subscription, and is told to `onError`.
   */
  setFlow(flow: Flow): void;
  /** Ends a durable subscription for good: the server forgets what it remembers of it, if it is connected. */
  forget(): void;
}

/**
 * What an iterator does when `buffer` updates wait to be read and another one comes. A terminal update is
 * never dropped; how many others were, `onLagged` tells.
 *
 * - `'latest'`: it takes the place of the newest one of its topic, so that every topic's last value stays; a topic without
 *   one pushes the oldest out.
 * - `'drop-oldest'`: the oldest goes.
 * - `'error'`: the iterator fails with code `overflow`.
 */
export type Overflow = 'latest' | 'drop-oldest' | 'error';

/** Options of {@link Subscriber.watch}. */
export interface WatchOptions extends Omit<SubscribeOptions, 'onEnd' | 'onError' | 'durable'> {
  /**
   * How many updates (or arrays of them) may wait to be read, at least 1. What comes at once waits, too, before even the fastest loop has
   * its turn: with a message 64 publications or more, in Node with what was read from the socket thousands. Default: 10,000.
   */
  readonly buffer?: number | undefined;
  /** What happens when more come. Default: `'latest'`. */
  readonly overflow?: Overflow | undefined;
}

/** Options of {@link Subscriber.watch} for arrays of updates. */
export interface CollectWatchOptions extends Omit<WatchOptions, 'conflate'> {
  readonly conflate: Collect;
}

/** Updates to loop over with `for await`. `await using` ends it where the loop is not the one to. */
export interface Updates<Item> extends AsyncIterableIterator<Item, undefined>, AsyncDisposable {}

/** Options of a publish. */
export interface PublishOptions {
  /** Makes this the topic's last publication. Without it, a `status` of COMPLETE, FAILED or CANCELLED does. */
  readonly end?: EndReason | undefined;
  /** Idempotency key: publishing again with the same key on the same topic changes nothing. At most 128 bytes. */
  readonly id?: string | undefined;
  /** Start the topic anew if it has ended, instead of failing with code `topic_ended`. */
  readonly restart?: boolean | undefined;
}

/** What both a hub in the page and a connection to a server can do for those who listen. */
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
   * Calls `handler` for every update on a topic, such as `job:42`, or on all topics that a pattern matches:
   * `*` is one segment, a last `**` is one or more.
   *
   * @throws {@link TidegateError} with code `bad_topic`, `bad_flow` or `bad_option`. A connection that was just made loads its core
   * first: what only that finds wrong is told to `onError` then, like what a server refuses.
   */
  subscribe<T = unknown>(
    pattern: string,
    options: SubscribeOptions | undefined,
    handler: (update: Update<T>) => unknown,
  ): Subscription<FlowOptions>;
  /** The same without options: every update, at once. */
  subscribe<T = unknown>(pattern: string, handler: (update: Update<T>) => unknown): Subscription<FlowOptions>;

  /**
   * The updates as an async iterator, which subscribes when it is first asked for one, and ends by itself
   * after the topic's terminal update or when the signal aborts. Leaving the loop unsubscribes.
   *
   * @throws (as a rejection of the first `next()`) {@link TidegateError} as `subscribe` does, and later with what ends the
   * subscription; at once with code `bad_option`, if `buffer` is no whole number of at least 1.
   */
  watch<T = unknown>(pattern: string, options: CollectWatchOptions): Updates<readonly Update<T>[]>;
  watch<T = unknown>(pattern: string, options?: WatchOptions): Updates<Update<T>>;
}
