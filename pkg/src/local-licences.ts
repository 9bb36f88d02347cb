/**
 * What a hub in the page publishes without asking the core: `core/src/hub/licence/publishing.rs` says what it allows and
 * when that ends. Nothing is decided here.
 */

import type { LocalHub } from './machines.js';
import type { Audience } from './mailbox.js';
import type { Position } from './types.js';

/** How many publications may be untold beside the last one of each topic: telling so many takes about a millisecond. */
const UNTOLD_MAX = 4096;

/**
 * That what follows on a publication goes to the same audience.
 *
 * @internal
 */
export interface LocalLicence {
  readonly topic: string;
  readonly epoch: number;
  readonly audience: Audience;
  /** How many of the last publications the core is to be told of. */
  readonly kept: number;
  /** Until when, in the host's milliseconds; nothing, if it has no end of its own. */
  readonly until: number | undefined;
  /** Of the publication that was handed on last. */
  offset: number;
  /** Whether the core knows of that one. */
  isTold: boolean;
  /** What it is, and when it was published, if the core is to be told. */
  data: unknown;
  at: number;
  /** What the core is to be told of before it. */
  earlier: Earlier | undefined;
}

/** Publications and when each was published: rings, once they are full. */
interface Earlier {
  readonly data: unknown[];
  readonly times: number[];
  /** Where in the rings the next one goes, if not at their beginning. */
  next: number;
}

/** @internal */
export class LocalLicences {
  readonly #byTopic = new Map<string, LocalLicence>();
  /** Those that may have ended since are among them. */
  readonly #untold = new Map<string, LocalLicence>();
  /** How many publications are untold beside the last ones. */
  #earlier = 0;

  /** The licence for a topic, if there is one. */
  of(topic: string): LocalLicence | undefined {
    return this.#byTopic.get(topic);
  }

  /** Counts `data` as published. Says whether the core must be told, as there is too much. */
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

  /** Puts the last publication, which another one follows, where those before it are. */
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

  /** The core allows to publish what follows on this, which it has had for this audience. */
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

  /** The core is another one, which knows of nothing. */
  clear(): void {
    this.#byTopic.clear();
    this.#untold.clear();
    this.#earlier = 0;
  }
}
