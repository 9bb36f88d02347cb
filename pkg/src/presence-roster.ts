/** The presences of one topic, as its listeners know them. */

import { report } from './errors.js';
import type { Presence, PresenceChange, PresenceOptions } from './presence-types.js';

/**
 * A key with all metas that it has now: none, if it has left.
 *
 * @internal
 */
export interface RosterChange {
  readonly key: string;
  readonly metas: readonly unknown[];
}

interface Listener {
  readonly listen: (change: PresenceChange) => void;
  readonly options: PresenceOptions;
  /** Whether it was called with those who are present. */
  isGreeted: boolean;
}

/** @internal */
export class Roster {
  readonly topic: string;
  readonly #present = new Map<string, Presence>();
  readonly #listeners = new Set<Listener>();
  #list: readonly Presence[] | undefined;
  /** Whether a complete state has arrived. */
  #isKnown = false;
  /** Whether the next state lists everybody rather than changes, because it comes from a restarted core. */
  #replacesNext = false;

  constructor(topic: string) {
    this.topic = topic;
  }

  list(): readonly Presence[] {
    this.#list ??= [...this.#present.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
    return this.#list;
  }

  add(listen: (change: PresenceChange) => void, options: PresenceOptions): Listener {
    const listener = { listen, options, isGreeted: false };
    this.#listeners.add(listener);
    return listener;
  }

  /** Removes a listener; returns whether it was the last one. */
  remove(listener: Listener): boolean {
    return this.#listeners.delete(listener) && this.#listeners.size === 0;
  }

  /** Removes all listeners, and returns their options. */
  end(): PresenceOptions[] {
    const options = [...this.#listeners].map((listener) => listener.options);
    this.#listeners.clear();
    return options;
  }

  /** Notes that the core was restarted. */
  restart(): void {
    this.#replacesNext = this.#isKnown;
  }

  /** Calls a new listener with everybody who is present, once that is known. */
  greet(listener: Listener): void {
    if (this.#isKnown && this.#listeners.has(listener) && !listener.isGreeted) {
      listener.isGreeted = true;
      tell(listener, { joins: this.list(), leaves: [], updates: [] });
    }
  }

  /** Applies changes from the core, and tells the listeners of the differences. */
  apply(changes: readonly RosterChange[], isState: boolean): void {
    const joins: Presence[] = [];
    const leaves: Presence[] = [];
    const updates: Presence[] = [];
    for (const { key, metas } of isState ? this.#completed(changes) : changes) {
      const known = this.#present.get(key);
      if (known !== undefined && metas.length === 0) {
        this.#present.delete(key);
        leaves.push(known);
      } else if (metas.length > 0 && !(known !== undefined && haveSameContent(known.metas, metas))) {
        const presence = { key, metas };
        this.#present.set(key, presence);
        (known === undefined ? joins : updates).push(presence);
      }
    }
    this.#isKnown ||= isState;
    this.#replacesNext &&= !isState;
    const isChanged = joins.length + leaves.length + updates.length > 0;
    if (isChanged) {
      this.#list = undefined;
    }
    for (const listener of [...this.#listeners]) {
      if (!listener.isGreeted) {
        this.greet(listener);
      } else if (isChanged && this.#listeners.has(listener)) {
        tell(listener, { joins, leaves, updates });
      }
    }
  }

  /** The changes of a state. If it lists everybody, those who are missing from it have left. */
  #completed(changes: readonly RosterChange[]): readonly RosterChange[] {
    if (!this.#replacesNext) {
      return changes;
    }
    const present = new Set(changes.map(({ key }) => key));
    const gone = [...this.#present.keys()].filter((key) => !present.has(key));
    return [...changes, ...gone.map((key) => ({ key, metas: [] }))];
  }
}

/** Calls a listener. If it throws, the error is reported, and the others are still called. */
function tell({ listen }: Listener, change: PresenceChange): void {
  try {
    listen(change);
  } catch (error) {
    report(error);
  }
}

/** Whether metas are equal but for their order: after a reconnect, the same metas may come in another one. */
function haveSameContent(one: readonly unknown[], other: readonly unknown[]): boolean {
  const texts = (metas: readonly unknown[]): string =>
    metas
      .map((meta) => JSON.stringify(meta))
      .sort()
      .join();
  return one.length === other.length && texts(one) === texts(other);
}
