/** What a connection to a server can do. */

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
   * Being opened. `attempt` counts failures since the last stable connection; `reason` says of the last one what is known:
   * in a tab, what its own socket told, and what one request over HTTP found out where no connection ever stood.
   */
  | { readonly status: 'connecting'; readonly attempt: number; readonly reason?: string }
  /** The server has welcomed us. */
  | { readonly status: 'connected' }
  /** Connected, but the server has lost touch with where its topics live: values may be old. It ends by itself. */
  | { readonly status: 'stale' }
  /** Lost, or nothing to do yet; it comes back by itself when there is something to do. */
  | { readonly status: 'disconnected'; readonly reason?: string }
  /** Over. With `error`, the server refused it; without, `close()` was called. */
  | { readonly status: 'closed'; readonly error?: TidegateError };

/** Options of `connect`. */
export interface ConnectOptions {
  /**
   * Proves to the server who this is. A function is called for each connection and, while that goes on, before the last
   * token ends; tabs that share a connection answer for each other.
   */
  readonly token?: TokenOption | undefined;
  /** Names this program in the server's logs. */
  readonly client?: string | undefined;
  /**
   * How all tabs of the browser share one connection: by a shared worker (`worker`), by one tab that has the connection
   * for all (`leader`), by whichever of the two there is (`auto`, the default), or not at all (`off`). Where the way
   * asked for does not exist, as in Node or in a worker, there is a connection for each `connect`. Only tabs of the same
   * origin with the same `url` and `token` share (of a function's, the same user and rights); with a `WebSocket` or a `host` of your own, ask for `leader`.
   */
  readonly tabs?: TabsMode | undefined;
  /** What opens WebSockets. Default: the platform's, or that of the installed package `ws`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Where the WASM core is, if it is not beside the package's code. */
  readonly wasm?: WasmSource | undefined;
  /** Where time comes from. Default: the platform. */
  readonly host?: Host | undefined;
  /** Closes the connection when it aborts. */
  readonly signal?: AbortSignal | null | undefined;
}

/** What can be listened to with {@link Tide.on}. */
export interface TideEvents {
  /** The connection's state has changed. */
  state: TideState;
  /**
   * Something went wrong that no subscription and no publish is to be told of. That the server could not be reached yet
   * is told once, with code `unreachable`; so is, besides to the publishes that it concerns, that more than 1,024 would wait for their answer
   * (`too_many_requests`), and again if they do once all were answered. Where nobody listens, the console is told of these.
   */
  error: TidegateError;
}

/** Options of {@link Tide.on}. */
export interface ListenOptions {
  /** Ends the listening when it aborts. */
  readonly signal?: AbortSignal | null | undefined;
}

/** A listener that is being called. Calling this ends it; so does `using`. */
export interface Listening extends Disposable {
  (): void;
}

/** Options of {@link Tide.publish}. */
export interface TidePublishOptions extends PublishOptions {
  /** Gives up waiting for the answer when it aborts. The publication may take place all the same. */
  readonly signal?: AbortSignal | null | undefined;
}

/** A connection to a server. It reconnects by itself, subscribes again, and resumes where it was. */
export interface Tide extends Subscriber, Disposable {
  /** The connection's state now. */
  readonly state: TideState;
  /**
   * Calls `listener` for every event, until the returned function is called or the signal aborts. Each call adds one listener.
   *
   * @throws {@link TidegateError} with code `bad_option`, if there is no such event.
   */
  on<E extends keyof TideEvents>(
    event: E,
    listener: (event: TideEvents[E]) => void,
    options?: ListenOptions,
  ): Listening;
  /**
   * Publishes, now or once connected. A publish that a lost connection leaves unanswered is repeated, and still
   * takes place once. Nobody needs to wait for the answer: a failure that nobody asks for is no unhandled rejection. At most
   * 1,024 wait for theirs; more fail with `too_many_requests`.
   *
   * @returns where the publication stands in its topic's history.
   * @throws (as a rejection) {@link TidegateError} with code `bad_topic`, `bad_option`, `bad_data`, `topic_ended`, `too_large`,
   * `forbidden`, `too_many_requests`, `connection_lost`, `unavailable`, `refused`, `aborted` or `closed`.
   */
  publish(topic: string, data: unknown, options?: TidePublishOptions): Promise<Position>;
  /** Who is present in a topic, and being present there. */
  presence<T = unknown>(topic: string): TopicPresence<T>;
  /** Closes the connection for good. Presences and subscriptions end without a word, iterators end, unanswered publishes reject. */
  close(): void;
}
