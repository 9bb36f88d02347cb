/**
 * What a hub in the page publishes without asking the core: `core/src/hub/licence/publishing.rs` says what it allows and
 * when that ends. Nothing is decided here.
 */

import type { Entry } from './entry.js';
import type { LocalHub } from './machines.js';
import type { Position } from './types.js';

/** How many publications may be untold beside the last one of each topic: telling so many takes about a millisecond. */
const UNTOLD_MAX = 4096;

/**
 * That what follows on a publication goes to the same entries.
 *
 * @internal
 */
export interface LocalLicence {
  readonly topic: string;
  readonly epoch: number;
  readonly entries: readonly Entry[];
  /** How many of the last publications the core is to be told of. */
  readonly kept: number;
  /** Until when, in the host's milliseconds. */
  readonly until: number;
  /** Of the publication that was handed on last. */
  offset: number;
  /** What the core is to be told of, and when it was published: rings, once they are full. */
  readonly untold: unknown[];
  readonly times: number[];
  /** Where in the rings the next one goes, if not at their beginning. */
  next: number;
}

/** @internal */
export class LocalLicences {
  readonly #byTopic = new Map<string, LocalLicence>();
  /** Those that may have ended since are among them. */
  readonly #untold = new Map<string, LocalLicence>();
  #count = 0;

  /** The licence for a topic, if there is one. */
  of(topic: string): LocalLicence | undefined {
    return this.#byTopic.get(topic);
  }

  /** Counts `data` as published. Says whether the core must be told, as there is too much. */
  add(licence: LocalLicence, data: unknown, nowMs: number): boolean {
    const { untold, times } = licence;
    const next = licence.next === licence.kept ? 0 : licence.next;
    if (next === untold.length) {
      if (next === 0) {
        this.#untold.set(licence.topic, licence);
      }
      this.#count += 1;
    }
    untold[next] = data;
    times[next] = nowMs;
    licence.next = next + 1;
    licence.offset += 1;
    return this.#count - this.#untold.size > UNTOLD_MAX;
  }

  /** The core allows to publish what follows on this, which it has had for these entries. */
  grant(
    topic: string,
    { epoch, offset }: Position,
    entries: readonly Entry[],
    kept: number,
    until: number,
  ): void {
    this.#byTopic.set(topic, { topic, epoch, entries, kept, until, offset, untold: [], times: [], next: 0 });
  }

  /** Tells the core what was published to a topic, for which it is to decide something itself. */
  end(hub: LocalHub, topic: string): void {
    this.#byTopic.delete(topic);
    const licence = this.#untold.get(topic);
    if (licence !== undefined) {
      this.#tell(hub, licence);
    }
  }

  /** The core allows nothing any more. */
  endAll(): void {
    this.#byTopic.clear();
  }

  /** Tells the core of all that was published. */
  tell(hub: LocalHub): void {
    if (this.#count > 0) {
      for (const licence of [...this.#untold.values()]) {
        this.#tell(hub, licence);
      }
    }
  }

  #tell(hub: LocalHub, licence: LocalLicence): void {
    const { core } = hub;
    const { topic, untold, times, next } = licence;
    const count = untold.length;
    this.#untold.delete(topic);
    this.#count -= count;
    core.enter(() => {
      const number = core.topicNumber(topic);
      for (let nth = 0; nth < count; nth += 1) {
        const at = (next + nth) % count;
        const offset = licence.offset - count + nth + 1;
        hub.handle_handed(times[at]!, number, offset, core.slots.put(untold[at]), nth === count - 1);
      }
    });
    untold.length = 0;
    times.length = 0;
    licence.next = 0;
  }

  /** The core is another one, which knows of nothing. */
  clear(): void {
    this.#byTopic.clear();
    this.#untold.clear();
    this.#count = 0;
  }
}
