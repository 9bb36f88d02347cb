/** The listeners to the events of a connection. */

import { dispose } from './dispose.js';
import { badOption, report, TidegateError } from './errors.js';
import { checkSignal } from './options.js';
import type { Listening, ListenOptions, TideEvents } from './tide-types.js';

/** One call of `on`. The same function may be given to several. */
interface Listener<Event> {
  readonly listen: (event: Event) => void;
}

/** @internal */
export class Listeners {
  readonly #listeners: { readonly [E in keyof TideEvents]: Set<Listener<TideEvents[E]>> } = {
    state: new Set(),
    error: new Set(),
  };

  on<E extends keyof TideEvents>(
    event: E,
    listen: (event: TideEvents[E]) => void,
    { signal }: ListenOptions = {},
  ): Listening {
    if (!Object.hasOwn(this.#listeners, event)) {
      throw new TidegateError('bad_option', `there is no event ${String(event)}: listen to state or error`);
    }
    if (typeof listen !== 'function') {
      throw badOption('the listener', listen, 'a function');
    }
    checkSignal(signal);
    const listeners = this.#listeners[event];
    const listener = { listen };
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

  /** Reports an error that must not go unnoticed: without a listener, it goes to the console. */
  tell(error: TidegateError): void {
    if (this.#listeners.error.size === 0) {
      // biome-ignore lint/suspicious/noConsole: a page that only waits would show nothing of it, nor would its network tab
      console.warn(`tidegate: ${error.message}`);
    }
    this.emit('error', error);
  }

  emit<E extends keyof TideEvents>(event: E, value: TideEvents[E]): void {
    for (const { listen } of [...this.#listeners[event]]) {
      try {
        listen(value);
      } catch (error) {
        report(error);
      }
    }
  }
}
