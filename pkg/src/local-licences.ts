/**
 * Publishes to a hub in the page without asking the core, under its licences: `core/src/hub/licence/publishing.rs`
 * defines what a licence allows and when it ends. Nothing is decided here.
 */

import type { LocalHub } from './machines.js';
import type { Audience } from './mailbox.js';
import type { Position } from './types.js';

/**
 * How many publications, besides the last one of each topic, may be kept from the core: telling it of this many takes
 * about a millisecond.
 */
const UNTOLD_MAX = 4096;

/**
 * Allows delivering the publications that follow one to the same audience.
 *
 * @internal
 */
export interface LocalLicence {
  readonly topic: string;
  readonly epoch: number;
  readonly audience: Audience;
  /** How many of the last publications the core is to be told of. */
  readonly kept: number;
  /** When the licence expires, in the host's milliseconds; undefined if it doesn't by itself. */
  readonly until: number | undefined;
  /** The offset of the last publication. */
  offset: number;
  /** Whether the core knows of that publication. */
  isTold: boolean;
  /** Its data and its time, while the core doesn't know of it. */
  data: unknown;
  at: number;
  /** Earlier publications that the core doesn't know of either. */
  earlier: Earlier | undefined;
}

/** Publications and their times: ring buffers, once they are full. */
interface Earlier {
  readonly data: unknown[];
  readonly times: number[];
  /** The place of the next one; at the end of the rings, it wraps around. */
  next: number;
}

/** @internal */
export class LocalLicences {
  readonly #byTopic = new Map<string, LocalLicence>();
  /** The licences with publications that the core does not know of yet. Some of them may have ended since. */
  readonly #untold = new Map<string, LocalLicence>();
  /** How many publications the core does not know of, besides the last one of each topic. */
  #earlier = 0;

  /** The licence for a topic, if there is one. */
  of(topic: string): LocalLicence | undefined {
    return this.#byTopic.get(topic);
  }

  /** Counts `data` as published. Returns whether the core must be told now, because too much has piled up. */
  add(licence: LocalLicence, data: unknown, nowMs: number): boolean {
    if (licence.isTold) {
      licence.isTold = false;
      this.#untold.set(licence.topic, licence);
    } else if (licence.kept > 1) {
      this.#keep(licence);
    }
    licence.data = data;
    licence.at = nowMs;
    licence.offset += 1;
    return this.#earlier > UNTOLD_MAX;
  }

  /** Moves the last publication to the earlier ones, to make room for the next. */
  #keep(licence: LocalLicence): void {
    licence.earlier ??= { data: [], times: [], next: 0 };
    const { data, times, next } = licence.earlier;
    const at = next === licence.kept - 1 ? 0 : next;
    if (at === data.length) {
      this.#earlier += 1;
    }
    data[at] = licence.data;
    times[at] = licence.at;
    licence.earlier.next = at + 1;
  }

  /**
   * The core has delivered the publication at this position to this audience, and allows the ones that follow to be
   * published without asking.
   */
  grant(
    topic: string,
    { epoch, offset }: Position,
    audience: Audience,
    kept: number,
    until: number | undefined,
  ): void {
    this.#byTopic.set(topic, {
      topic,
      epoch,
      audience,
      kept,
      until,
      offset,
      isTold: true,
      data: undefined,
      at: 0,
      earlier: undefined,
    });
  }

  /** Ends the licence for a topic, because the core is to decide on it: tells it first what was published. */
  end(hub: LocalHub, topic: string): void {
    this.#byTopic.delete(topic);
    const licence = this.#untold.get(topic);
    if (licence !== undefined) {
      this.#tell(hub, licence);
    }
  }

  /** Ends all licences. What was published is still to be told. */
  endAll(): void {
    this.#byTopic.clear();
  }

  /** Tells the core of everything that was published. */
  tell(hub: LocalHub): void {
    if (this.#untold.size > 0) {
      for (const licence of [...this.#untold.values()]) {
        this.#tell(hub, licence);
      }
    }
  }

  #tell(hub: LocalHub, licence: LocalLicence): void {
    const { core } = hub;
    const { topic, offset, data, at, earlier } = licence;
    const count = earlier?.data.length ?? 0;
    this.#untold.delete(topic);
    this.#earlier -= count;
    core.enter(() => {
      const number = core.topicNumber(topic);
      for (let nth = 0; nth < count; nth += 1) {
        const place = (earlier!.next + nth) % count;
        const slot = core.slots.put(earlier!.data[place]);
        hub.handle_handed(earlier!.times[place]!, number, offset - count + nth, slot, false);
      }
      hub.handle_handed(at, number, offset, core.slots.put(data), true);
    });
    licence.isTold = true;
    licence.data = undefined;
    licence.earlier = undefined;
  }

  /** Forgets everything, for a new core. */
  clear(): void {
    this.#byTopic.clear();
    this.#untold.clear();
    this.#earlier = 0;
  }
}
