/**
 * Hands publications on without asking the core, under its licences: `core/src/hub/licence.rs` defines what a licence
 * allows and when it ends. This only checks those conditions; nothing is decided here.
 */

import type { PublicationFrame } from './frames.js';
import type { ClientHub } from './machines.js';
import type { Audience } from './mailbox.js';

/**
 * Allows handing the publications that directly follow one to the same entries.
 *
 * @internal
 */
export interface Licence {
  readonly topic: string;
  readonly link: number;
  readonly epoch: number;
  readonly audience: Audience;
  /** The offset of the publication that was handed on last. */
  offset: number;
  data: unknown;
  /** Whether the core knows of that publication. */
  isReported: boolean;
}

/** @internal */
export class Licences {
  readonly #byTopic = new Map<string, Licence>();
  /** The licences with publications that the core does not know of yet. Some of them may have ended since. */
  readonly #unreported = new Map<string, Licence>();
  readonly #now: () => number;
  /** When the first publication that the core does not know of arrived. Reading the clock for each would cost too much. */
  #receivedMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns the licence to hand a frame on, and counts the frame as handed on; undefined if the core must be asked. */
  take(link: number, frame: PublicationFrame): Licence | undefined {
    const licence = this.#byTopic.get(frame.topic);
    if (
      licence === undefined ||
      frame.offset !== licence.offset + 1 ||
      frame.epoch !== licence.epoch ||
      licence.link !== link ||
      frame.type !== 'pub' ||
      frame.data === undefined ||
      frame.via !== undefined ||
      frame.end !== undefined
    ) {
      return undefined;
    }
    licence.offset = frame.offset;
    licence.data = frame.data;
    if (licence.isReported) {
      if (this.#unreported.size === 0) {
        this.#receivedMs = this.#now();
      }
      licence.isReported = false;
      this.#unreported.set(licence.topic, licence);
    }
    return licence;
  }

  /**
   * The core has delivered this frame to these entries, and allows the frames that follow it to be handed on to them.
   */
  grant(link: number, frame: PublicationFrame, audience: Audience): void {
    const { topic, epoch, offset } = frame;
    this.#byTopic.set(topic, { topic, link, epoch, audience, offset, data: undefined, isReported: true });
  }

  /** Ends the licence for a topic, because the core is to decide on it: tells it first what was handed on. */
  end(hub: ClientHub, topic: string): void {
    this.#byTopic.delete(topic);
    const unreported = this.#unreported.get(topic);
    if (unreported !== undefined) {
      this.#report(hub, unreported);
    }
  }

  /** Ends all licences. What was handed on is still to be told. */
  endAll(): void {
    this.#byTopic.clear();
  }

  /** Tells the core of everything that was handed on. */
  tell(hub: ClientHub): void {
    if (this.#unreported.size > 0) {
      for (const licence of [...this.#unreported.values()]) {
        this.#report(hub, licence);
      }
    }
  }

  #report(hub: ClientHub, licence: Licence): void {
    const { core } = hub;
    licence.isReported = true;
    this.#unreported.delete(licence.topic);
    core.enter(() => {
      const topic = core.topicNumber(licence.topic);
      const slot = core.slots.put(licence.data);
      hub.handle_handed(this.#receivedMs, topic, licence.epoch, licence.offset, slot);
    });
    licence.data = undefined;
  }

  /** Forgets everything, for a new core. */
  clear(): void {
    this.#byTopic.clear();
    this.#unreported.clear();
  }
}
