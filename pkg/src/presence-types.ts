/** Who is here: the presences of a topic. */

import type { TidegateError } from './errors.js';
import type { Listening } from './tide-types.js';

/** Somebody who is present in a topic. Shared by all who look: treat it and its metas as read-only. */
export interface Presence<T = unknown> {
  /** Who: a user's id, say. */
  readonly key: string;
  /** What each of their places (a tab, a device) says of itself; at least one. */
  readonly metas: readonly T[];
}

/** What has changed about who is present. A key is in one of the three. */
export interface PresenceChange<T = unknown> {
  /** Who came, and was not here before. */
  readonly joins: readonly Presence<T>[];
  /** Who went with the last of their places; the metas are those of before. */
  readonly leaves: readonly Presence<T>[];
  /** Who stays, with other metas. */
  readonly updates: readonly Presence<T>[];
}

/** Options of what ends by itself, and of whom to tell. */
export interface PresenceOptions {
  /** Ends it when it aborts. */
  readonly signal?: AbortSignal | null | undefined;
  /**
   * The server refused, or, while a connection that was just made loaded its core, there was something wrong with it; it is over. Without
   * this, the error is reported as uncaught.
   */
  readonly onError?: ((error: TidegateError) => void) | undefined;
}

/** A presence of this page. `untrack()` and `using` end it, and so does closing the connection. */
export interface Tracking<T = unknown> extends Disposable {
  /** Who is present. */
  readonly key: string;
  /** Whether the presence lasts, or will once the connection is back. */
  readonly active: boolean;
  /**
   * Changes what it says of itself.
   *
   * @throws {@link TidegateError} with code `bad_data`, if `meta` is no JSON.
   */
  update(meta: T): void;
  /** Ends it. Once is enough, more is harmless. */
  untrack(): void;
}

/** The presences of one topic. */
export interface TopicPresence<T = unknown> {
  readonly topic: string;
  /**
   * Is present as `key` from now on, on every connection. The same key may be tracked several times, here and on other
   * devices: it joins with the first and leaves with the last.
   *
   * @throws {@link TidegateError} with code `bad_topic`, `bad_option` (the key), `bad_data` (the meta is no JSON) or `closed`.
   * What the server refuses (`too_large`, `too_many_presences`, `forbidden`) is told to `onError`.
   */
  track(key: string, meta: T, options?: PresenceOptions): Tracking<T>;
  /** Who is present, ordered by key; the same array until it changes. Empty unless somebody listens by `onChange`. */
  list(): readonly Presence<T>[];
  /**
   * Calls `listener` first with all who are present as `joins`, be it nobody, and then with every change. A connection
   * that is lost and comes back is no change: only what became different meanwhile is.
   *
   * @throws {@link TidegateError} with code `bad_topic` or `closed`.
   */
  onChange(listener: (change: PresenceChange<T>) => void, options?: PresenceOptions): Listening;
}
