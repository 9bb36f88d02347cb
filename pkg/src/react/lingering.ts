/** A snapshot outside of React that is followed while somebody listens, and changes only as a whole. */

/**
 * What `useSyncExternalStore` asks for.
 *
 * When the last listener leaves, what is followed lingers to the end of the task: React's strict mode mounts twice, and a component
 * may be replaced by another for the same.
 *
 * @internal
 */
export abstract class Lingering<State> {
  readonly #listeners = new Set<() => void>();
  readonly #first: State;
  #state: State;

  /** `first` is what a server renders, and the browser before it has taken over. */
  constructor(first: State) {
    this.#first = first;
    this.#state = first;
  }

  /** Begins to follow, unless that has begun. */
  protected abstract open(): void;

  /** Follows no longer. */
  protected abstract close(): void;

  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may listen twice: each is a listener of its own.
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
