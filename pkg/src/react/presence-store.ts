/** A component's view of who is present in a topic, kept outside of React: a snapshot that changes only as a whole. */

import { TidegateError } from '../errors.js';
import type { Presence, TopicPresence } from '../presence-types.js';
import type { Tide } from '../tide-types.js';
import { Lingering } from './lingering.js';

/** The presences of a topic, for a component. It is the same object until something changes. */
export type PresenceState<T = unknown> =
  /** Not known yet. */
  | { readonly status: 'waiting'; readonly present: readonly Presence<T>[]; readonly error: undefined }
  /**
   * `present` is everyone who is here, ordered by key. It is `stale` if the connection is lost, or the server has lost
   * touch with its backend.
   */
  | { readonly status: 'live' | 'stale'; readonly present: readonly Presence<T>[]; readonly error: undefined }
  /** The server refused it, or the connection is closed. `error` says why. */
  | { readonly status: 'failed'; readonly present: readonly Presence<T>[]; readonly error: TidegateError };

/** The state before anything is known. */
const WAITING: PresenceState<never> = { status: 'waiting', present: [], error: undefined };

/**
 * Watches the presences of a topic while somebody listens.
 *
 * @internal
 */
export class PresenceStore<T> extends Lingering<PresenceState<T>> {
  readonly #tide: Tide | null;
  readonly #topic: TopicPresence<T> | undefined;
  #stop: (() => void) | undefined;

  constructor(tide: Tide | null, topic: string | null) {
    super(WAITING);
    this.#tide = tide;
    this.#topic = topic === null ? undefined : tide?.presence<T>(topic);
  }

  protected override open(): void {
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
      this.#fail(error as TidegateError);
      return;
    }
    this.#refresh();
  }

  protected override close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #take(present: readonly Presence<T>[]): void {
    this.set({ status: this.#freshness(), present, error: undefined });
  }

  #fail(error: TidegateError): void {
    this.set({ status: 'failed', present: this.state().present, error });
  }

  /** Follows the connection's state: it has changed, or may have changed while nobody listened. */
  #refresh(): void {
    const state = this.state();
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
}
