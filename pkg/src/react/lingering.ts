/** A snapshot outside of React that is kept up to date while somebody listens, and changes only as a whole. */

/**
 * An external store, as `useSyncExternalStore` needs it.
 *
 * When the last listener leaves, the store stays open until the end of the task: React's strict mode mounts twice, and
 * another component may take over the same store.
 *
 * @internal
 */
export abstract class Lingering<State> {
  readonly #listeners = new Set<() => void>();
  readonly #first: State;
  #state: State;

  /** `first` is what a server renders, and the browser before hydration. */
  constructor(first: State) {
    this.#first = first;
    this.#state = first;
  }

  /** Starts keeping the state up to date, unless it has started already. */
  protected abstract open(): void;

  /** Stops keeping it up to date. */
  protected abstract close(): void;

  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may be subscribed twice, so each subscription gets a function of its own.
    const own = (): void => listener();
    this.#listeners.add(own);
    this.open();
    return () => {
      this.#listeners.delete(own);
      queueMicrotask(() => {
        if (this.#listeners.size === 0) {
          this.close();
        }
      });
    };
  };

  /** Whether anybody listens. */
  protected get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  readonly state = (): State => this.#state;

  readonly firstState = (): State => this.#first;

  protected set(state: State): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }
}
