/**
 * Publishes to a hub in the page without asking the core, under its licences: `core/src/hub/licence/publishing.rs`
 * defines what a licence allows and when it ends. Nothing is decided here.
 */

import type { LocalHub } from './machines.js';
import type { Audience } from './mailbox.js';
import type { Position } from './types.js';

/**
 * How many publications, besides the only ones of topics that keep no more, may be kept from the core: telling it of this
 * many takes about a millisecond.
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
  isReported: boolean;
  /** If only one is kept: its data and its time, while the core doesn't know of it. */
  data: unknown;
  at: number;
  /** Otherwise, all that the core doesn't know of. */
  recent: Recent | undefined;
}

/** Publications and their times: ring buffers, once they are full. */
interface Recent {
  readonly data: unknown[];
  readonly times: number[];
  /** The place of the next one; at the end of the rings, it wraps around. */
  next: number;
}

/** @internal */
export class LocalLicences {
  readonly #byTopic = new Map<string, LocalLicence>();
  /** The licences with publications that the core does not know of yet. Some of them may have ended since. */
  readonly #unreported = new Map<string, LocalLicence>();
  /** How many publications are in the rings. */
  #recent = 0;

  /** The licence for a topic, if there is one. */
  of(topic: string): LocalLicence | undefined {
    return this.#byTopic.get(topic);
  }

  /** Counts `data` as published. Returns whether the core must be told now, because too much has piled up. */
  add(licence: LocalLicence, data: unknown, nowMs: number): boolean {
    if (licence.isReported) {
      licence.isReported = false;
      this.#unreported.set(licence.topic, licence);
    }
    if (licence.kept === 1) {
      licence.data = data;
      licence.at = nowMs;
    } else {
      this.#keep(licence, data, nowMs);
    }
    licence.offset += 1;
    return this.#recent > UNTOLD_MAX;
  }

  #keep(licence: LocalLicence, data: unknown, nowMs: number): void {
    licence.recent ??= { data: [], times: [], next: 0 };
    const { recent } = licence;
    const at = recent.next === licence.kept ? 0 : recent.next;
    if (at === recent.data.length) {
      this.#recent += 1;
    }
    recent.data[at] = data;
    recent.times[at] = nowMs;
    recent.next = at + 1;
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
      isReported: true,
      data: undefined,
      at: 0,
      recent: undefined,
    });
  }

  /** Ends the licence for a topic, because the core is to decide on it: tells it first what was published. */
  end(hub: LocalHub, topic: string): void {
    this.#byTopic.delete(topic);
    const licence = this.#unreported.get(topic);
    if (licence !== undefined) {
      this.#report(hub, licence);
    }
  }

  /** Ends all licences. What was published is still to be told. */
  endAll(): void {
    this.#byTopic.clear();
  }

  /** Tells the core of everything that was published. */
  tell(hub: LocalHub): void {
    if (this.#unreported.size > 0) {
      for (const licence of [...this.#unreported.values()]) {
        this.#report(hub, licence);
      }
    }
  }

  #report(hub: LocalHub, licence: LocalLicence): void {
    const { core } = hub;
    const { topic, offset, recent } = licence;
    const { data, times, next } = recent ?? { data: [licence.data], times: [licence.at], next: 0 };
    const count = data.length;
    this.#unreported.delete(topic);
    this.#recent -= recent === undefined ? 0 : count;
    core.enter(() => {
      const number = core.topicNumber(topic);
      for (let left = count - 1; left >= 0; left -= 1) {
        const place = (next + count - 1 - left) % count;
        const slot = core.slots.put(data[place]);
        hub.handle_handed(times[place]!, number, offset - left, slot, left === 0);
      }
    });
    licence.isReported = true;
    licence.data = undefined;
    licence.recent = undefined;
  }

  /** Forgets everything, for a new core. */
  clear(): void {
    this.#byTopic.clear();
    this.#unreported.clear();
    this.#recent = 0;
  }
}
