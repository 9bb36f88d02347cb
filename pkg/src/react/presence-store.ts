/** What a component knows of who is present in a topic, outside of React: a snapshot that changes only as a whole. */

import { TidegateError } from '../errors.js';
import type { Presence, TopicPresence } from '../presence-types.js';
import type { Tide } from '../tide-types.js';

/** What a component is shown of the presences of a topic. The same object until something changes. */
export type PresenceState<T = unknown> =
  /** Not known yet. */
  | { readonly status: 'waiting'; readonly present: readonly Presence<T>[]; readonly error: undefined }
  /** `present` is who is here, ordered by key; when `stale`, as far as a lost connection knew. */
  | { readonly status: 'live' | 'stale'; readonly present: readonly Presence<T>[]; readonly error: undefined }
  /** The server refused, or the connection is closed. `error` says why. */
  | { readonly status: 'failed'; readonly present: readonly Presence<T>[]; readonly error: Error };

/** The state of a topic of which nothing is known. */
const WAITING: PresenceState<never> = { status: 'waiting', present: [], error: undefined };

/**
 * Watches while somebody listens, and lingers to the end of the task as {@link TopicStore} does.
 *
 * @internal
 */
export class PresenceStore<T> {
  readonly #tide: Tide | null;
  readonly #topic: TopicPresence<T> | undefined;
  readonly #listeners = new Set<() => void>();
  #state: PresenceState<T> = WAITING;
  #stop: (() => void) | undefined;

  constructor(tide: Tide | null, topic: string | null) {
    this.#tide = tide;
    this.#topic = topic === null ? undefined : tide?.presence<T>(topic);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may listen twice: each is a listener of its own.
    const own = (): void => listener();
    this.#listeners.add(own);
    this.#open();
    return () => {
      this.#listeners.delete(own);
      queueMicrotask(() => this.#closeIfUnheard());
    };
  };

  readonly state = (): PresenceState<T> => this.#state;

  /** What a server renders, and the browser before it has taken over. */
  readonly firstState = (): PresenceState<T> => WAITING;

  #open(): void {
    const [tide, topic] = [this.#tide, this.#topic];
    if (this.#stop !== undefined || tide === null || topic === undefined) {
      return;
    }
    try {
      const stopWatching = topic.onChange(() => this.#take(topic.list()), {
        onError: (error) => this.#fail(error),
      });
      const stopFollowing = tide.on('state', () => this.#refresh());
      this.#stop = () => {
        stopWatching();
        stopFollowing();
      };
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    this.#refresh();
  }

  #closeIfUnheard(): void {
    if (this.#listeners.size === 0) {
      this.#stop?.();
      this.#stop = undefined;
    }
  }

  #take(present: readonly Presence<T>[]): void {
    this.#set({ status: this.#freshness(), present, error: undefined });
  }

  #fail(error: Error): void {
    this.#set({ status: 'failed', present: this.#state.present, error });
  }

  /** The connection's state has changed, or was not looked at for a while. */
  #refresh(): void {
    const state = this.#state;
    const connection = this.#tide!.state;
    if (state.status === 'failed') {
      return;
    }
    if (connection.status === 'closed') {
      this.#fail(connection.error ?? new TidegateError('closed', 'the connection was closed'));
    } else if (state.status !== 'waiting' && state.status !== this.#freshness()) {
      this.#take(state.present);
    }
  }

  #freshness(): 'live' | 'stale' {
    return this.#tide!.state.status === 'connected' ? 'live' : 'stale';
  }

  #set(state: PresenceState<T>): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }
}
