/** A subscription, outside of React, that lasts while a component listens. Subclasses turn its updates into a state. */

import { TidegateError } from '../errors.js';
import type { Tide } from '../tide-types.js';
import type {
  EndReason,
  FlowOptions,
  SubscribeOptions,
  Subscriber,
  Subscription,
  TopicPosition,
  Update,
} from '../types.js';
import { FramePace } from './frame-pace.js';
import { Lingering } from './lingering.js';

/** Options of a subscription that can't change while it lasts. */
export interface Source {
  readonly latest?: boolean | undefined;
  readonly since?: TopicPosition | readonly TopicPosition[] | null | undefined;
}

/** The flow of the subscription. `key` is equal for equal flows. */
export interface Pace {
  readonly flow: FlowOptions;
  readonly key: string;
}

function isTide(subscriber: Subscriber): subscriber is Tide {
  return 'on' in subscriber;
}

/** @internal */
export abstract class Subscribed<T, State> extends Lingering<State> {
  readonly #from: Subscriber | null;
  readonly #pattern: string | null;
  readonly #source: SubscribeOptions;
  #pace: Pace;
  /** Set if changes are shown at most once per frame. */
  readonly #frames: FramePace | undefined;
  #subscription: Subscription | undefined;
  #stopFollowing: (() => void) | undefined;

  constructor(
    from: Subscriber | null,
    pattern: string | null,
    { latest, since }: Source,
    pace: Pace,
    first: State,
    isShownByFrames = pace.flow.throttle === 'frame',
  ) {
    super(first);
    this.#from = from;
    this.#pattern = pattern;
    this.#source = {
      ...(latest === undefined ? {} : { latest }),
      ...(since === undefined ? {} : { since }),
    };
    this.#pace = pace;
    this.#frames = from !== null && isShownByFrames ? new FramePace(from, () => this.show()) : undefined;
  }

  /** Publishes the current state to the listeners. */
  protected abstract show(): void;
  protected abstract take(update: Update<T>): void;
  protected abstract end(reason: EndReason, pattern: string): void;
  protected abstract fail(error: TidegateError, pattern: string): void;
  /** The server has forgotten a topic. */
  protected abstract forget(topic: string): void;
  /** Clears a failure, if there is one: the state before it is restored. */
  protected abstract recover(): void;
  /** The connection was lost, or is back. */
  protected abstract freshen(freshness: 'live' | 'stale'): void;
  /** Whether no more updates can arrive. */
  protected abstract isOver(): boolean;

  /**
   * Changes the flow, and keeps the subscription and its state. The failure of an earlier pace that was refused is
   * cleared.
   */
  setPace(pace: Pace): void {
    if (pace.key === this.#pace.key) {
      return;
    }
    this.#pace = pace;
    if (this.#subscription === undefined) {
      if (this.isHeard) {
        this.open();
      }
      return;
    }
    if (!this.#subscription.active) {
      return;
    }
    try {
      this.#subscription.setFlow(pace.flow);
    } catch (error) {
      this.fail(error as TidegateError, this.#pattern!);
      return;
    }
    this.recover();
    this.#refresh();
  }

  protected override open(): void {
    const [from, pattern] = [this.#from, this.#pattern];
    if (this.#subscription !== undefined || from === null || pattern === null) {
      return;
    }
    this.recover();
    try {
      this.#subscription = from.subscribe<T>(
        pattern,
        {
          ...this.#pace.flow,
          ...this.#source,
          onEnd: (reason) => this.end(reason, pattern),
          onReset: ({ topic, epoch }) => {
            if (epoch === 0) {
              this.forget(topic);
            }
          },
          onError: (error) => {
            if (error.code === 'bad_flow') {
              // The core found this only once it was loaded. Closing lets another pace try again.
              this.close();
            }
            this.fail(error, pattern);
          },
        },
        (update: Update<T>) => this.take(update),
      );
    } catch (error) {
      this.fail(error as TidegateError, pattern);
      return;
    }
    if (isTide(from)) {
      this.#stopFollowing = from.on('state', () => this.#refresh());
      this.#refresh();
    }
  }

  /** Notes that the state has changed, and shows it: at once, or paced by frames. */
  protected changed(isUrgent: boolean): void {
    if (this.#frames === undefined) {
      this.show();
    } else {
      this.#frames.change(isUrgent);
    }
  }

  protected override close(): void {
    this.#frames?.stop();
    this.#stopFollowing?.();
    this.#stopFollowing = undefined;
    this.#subscription?.();
    this.#subscription = undefined;
  }

  /** Follows the connection's state: it has changed, or may have changed while nobody listened. */
  #refresh(): void {
    const from = this.#from as Subscriber;
    if (!isTide(from) || this.isOver()) {
      return;
    }
    if (from.state.status === 'closed') {
      const error = from.state.error ?? new TidegateError('closed', 'the connection was closed');
      this.fail(error, this.#pattern!);
    } else {
      this.freshen(this.freshness());
    }
  }

  protected freshness(): 'live' | 'stale' {
    const from = this.#from as Subscriber;
    return isTide(from) && from.state.status !== 'connected' ? 'stale' : 'live';
  }
}
