/** Who listens to the events of a connection. */

import { dispose } from './dispose.js';
import { report, type TidegateError } from './errors.js';
import type { Listening, ListenOptions, TideEvents, TideState } from './tide-types.js';

/** @internal */
export class Listeners {
  readonly #listeners = {
    state: new Set<(event: TideState) => void>(),
    error: new Set<(event: TidegateError) => void>(),
  };

  on<E extends keyof TideEvents>(
    event: E,
    listener: (event: TideEvents[E]) => void,
    { signal }: ListenOptions = {},
  ): Listening {
    const listeners = this.#listeners[event] as Set<(event: TideEvents[E]) => void>;
    const stop = (): void => {
      listeners.delete(listener);
      signal?.removeEventListener('abort', stop);
    };
    if (!signal?.aborted) {
      listeners.add(listener);
      signal?.addEventListener('abort', stop, { once: true });
    }
    return Object.assign(stop, { [dispose]: stop });
  }

  /** Tells of an error that whoever waits must learn of: without a listener, the console. */
  tell(error: TidegateError): void {
    if (this.#listeners.error.size === 0) {
      // biome-ignore lint/suspicious/noConsole: a page that only waits would show nothing of it, nor would its network tab
      console.warn(`tidegate: ${error.message}`);
    }
    this.emit('error', error);
  }

  emit<E extends keyof TideEvents>(event: E, value: TideEvents[E]): void {
    for (const listener of [...this.#listeners[event]] as ((event: TideEvents[E]) => void)[]) {
      try {
        listener(value);
      } catch (error) {
        report(error);
      }
    }
  }
}
