/** Who is here: the presences of a topic. */

import type { TidegateError } from './errors.js';
import type { Listening } from './tide-types.js';

/** A key that is present in a topic. It is shared by all listeners: treat it and its metas as read-only. */
export interface Presence<T = unknown> {
  /** The key, such as a user's id. */
  readonly key: string;
  /** One meta for each of its places (a tab, a device); at least one. */
  readonly metas: readonly T[];
}

/** A change of presences. A key is in one of the three lists. */
export interface PresenceChange<T = unknown> {
  /** Keys that were not present before. */
  readonly joins: readonly Presence<T>[];
  /** Keys that are not present any more, with the metas that they had. */
  readonly leaves: readonly Presence<T>[];
  /** Keys that stay, with different metas. */
  readonly updates: readonly Presence<T>[];
}

/** Options of `track` and `onChange`. */
export interface PresenceOptions {
  /** Ends it when it is aborted. */
  readonly signal?: AbortSignal | null | undefined;
  /**
   * The server refused it, or the core, once it was loaded, found it invalid; it has ended. Without this callback, the
   * error is reported as uncaught.
   */
  readonly onError?: ((error: TidegateError) => void) | undefined;
}

/** A presence of this page. `untrack()`, `using` and closing the connection end it. */
export interface Tracking<T = unknown> extends Disposable {
  /** The key that is present. */
  readonly key: string;
  /** Whether the presence continues, now or once the connection is back. */
  readonly active: boolean;
  /**
   * Replaces its meta.
   *
   * @throws {@link TidegateError} with code `bad_data`, if `meta` has no JSON form.
   */
  update(meta: T): void;
  /** Ends it. Calling it again does nothing. */
  untrack(): void;
}

/** The presences of one topic. */
export interface TopicPresence<T = unknown> {
  readonly topic: string;
  /**
   * Makes `key` present from now on, on every connection. The same key may be tracked several times, here and on other
   * devices: it joins with the first and leaves with the last.
   *
   * @throws {@link TidegateError} with code `bad_topic`, `bad_option` (the key), `bad_data` (the meta has no JSON form)
   * or `closed`. A refusal by the server (`too_large`, `too_many_presences`, `forbidden`) is reported to `onError`.
   */
  track(key: string, meta: T, options?: PresenceOptions): Tracking<T>;
  /**
   * Everyone who is present, ordered by key; the same array until it changes. Empty unless somebody listens with
   * `onChange`.
   */
  list(): readonly Presence<T>[];
  /**
   * Calls `listener` first with everyone who is present as `joins`, even if that is nobody, and then with every change.
   * Losing the connection and regaining it is not a change in itself: only differences are reported.
   *
   * @throws {@link TidegateError} with code `bad_topic`, `bad_option` (the listener) or `closed`.
   */
  onChange(listener: (change: PresenceChange<T>) => void, options?: PresenceOptions): Listening;
}
