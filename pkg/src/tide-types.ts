/** The types of a connection to a server. */

import type { WasmSource } from './core.js';
import type { TidegateError } from './errors.js';
import type { Host } from './host.js';
import type { TopicPresence } from './presence-types.js';
import type { WebSocketConstructor } from './socket.js';
import type { TabsMode } from './tabs/membership.js';
import type { TokenOption } from './tokens.js';
import type { Position, PublishOptions, Subscriber } from './types.js';

/** The state of a connection. */
export type TideState =
  /**
   * Being opened. `attempt` counts failures since the last stable connection. `reason` is what is known about the last
   * failure: why the server refused the connection (`unauthorized: …`), or what the tab's own socket reported and, if
   * there has never been a connection, what one HTTP request found out.
   */
  | { readonly status: 'connecting'; readonly attempt: number; readonly reason?: string }
  /** The server has welcomed the client. */
  | { readonly status: 'connected' }
  /** Connected, but the server has lost touch with its backend: values may be out of date. This ends by itself. */
  | { readonly status: 'stale' }
  /** Lost, or there is nothing to do yet. It connects by itself when there is something to do. */
  | { readonly status: 'disconnected'; readonly reason?: string }
  /** Closed for good. With `error`, the server refused it; without, `close()` was called. */
  | { readonly status: 'closed'; readonly error?: TidegateError };

/** Options of `connect`. */
export interface ConnectOptions {
  /**
   * The token, for a server that authenticates its clients. A function is called for each connection, and again before
   * its token expires. Tabs that share a connection answer for each other.
   */
  readonly token?: TokenOption | undefined;
  /** The name of this program, for the server's logs. */
  readonly client?: string | undefined;
  /**
   * How all tabs of the browser share one connection: through a shared worker (`worker`), through one tab that holds it
   * for all (`leader`), through whichever of the two is available (`auto`, the default), or not at all (`off`). If the
   * requested way is not available, as in Node or in a worker, each `connect` has its own connection. Only tabs of the
   * same origin with the same `url` and `token` share (with a function as token, those whose tokens give the same user
   * and rights). With a `WebSocket` or a `host` of your own, use `leader`.
   */
  readonly tabs?: TabsMode | undefined;
  /** The class that opens WebSockets. Default: the platform's, or that of the installed package `ws`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Where to load the WASM core from, if it is not beside the package's code. */
  readonly wasm?: WasmSource | undefined;
  /** The source of time, timers and randomness. Default: the platform. */
  readonly host?: Host | undefined;
  /** Closes the connection when it is aborted. */
  readonly signal?: AbortSignal | null | undefined;
}

/** The events of {@link Tide.on}. */
export interface TideEvents {
  /** The connection's state has changed. */
  state: TideState;
  /**
   * Something went wrong that doesn't belong to a subscription or a publish. Two things are reported once, and go to
   * the console if nobody listens: that the server has never been reached (`unreachable`), and that more than 1,024
   * publishes would wait for their answer (`too_many_requests`, in addition to those publishes; again only after all
   * have been answered).
   */
  error: TidegateError;
}

/** Options of {@link Tide.on}. */
export interface ListenOptions {
  /** Removes the listener when it is aborted. */
  readonly signal?: AbortSignal | null | undefined;
}

/** Removes a listener, when it is called or by `using`. */
export interface Listening extends Disposable {
  (): void;
}

/** Options of {@link Tide.publish}. */
export interface TidePublishOptions extends PublishOptions {
  /** Stops waiting for the answer when it is aborted. The publication may still take place. */
  readonly signal?: AbortSignal | null | undefined;
}

/** A connection to a server. It reconnects, resubscribes and resumes by itself. */
export interface Tide extends Subscriber, Disposable {
  /** The current state of the connection. */
  readonly state: TideState;
  /**
   * Calls `listener` for every event, until the returned function is called or the signal is aborted. Each call adds a
   * listener.
   *
   * @throws {@link TidegateError} with code `bad_option`, if there is no such event.
   */
  on<E extends keyof TideEvents>(
    event: E,
    listener: (event: TideEvents[E]) => void,
    options?: ListenOptions,
  ): Listening;
  /**
   * Publishes, now or once connected. A publish that a lost connection leaves unanswered is repeated, but takes place
   * only once. You don't have to await the answer: a failure that nobody awaits is not an unhandled rejection. At most
   * 1,024 publishes wait for their answer; more fail with `too_many_requests`.
   *
   * @returns the publication's position in its topic's history.
   * @throws (as a rejection) {@link TidegateError} with code `bad_topic`, `bad_option`, `bad_data`, `topic_ended`, `too_large`,
   * `forbidden`, `too_many_requests`, `connection_lost`, `unavailable`, `refused`, `aborted` or `closed`.
   */
  publish(topic: string, data: unknown, options?: TidePublishOptions): Promise<Position>;
  /** The presences of a topic. */
  presence<T = unknown>(topic: string): TopicPresence<T>;
  /**
   * Closes the connection for good. Presences and subscriptions end without notice, iterators end, unanswered publishes
   * reject.
   */
  close(): void;
}
