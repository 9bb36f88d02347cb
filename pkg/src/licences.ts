/**
 * Publications that are handed on without asking the core: `core/src/hub/licence.rs` says what it allows and when that
 * ends. What is checked here is what it says there, and nothing is decided.
 */

import type { Entry } from './entry.js';
import type { PublicationFrame } from './frames.js';
import type { ClientHub } from './machines.js';

/**
 * That what continues a publication goes to the same entries.
 *
 * @internal
 */
export interface Licence {
  readonly topic: string;
  readonly link: number;
  readonly epoch: number;
  readonly entries: readonly Entry[];
  /** Of the publication that was handed on last. */
  offset: number;
  data: unknown;
  /** Whether the core knows of that one. */
  isTold: boolean;
}

/** @internal */
export class Licences {
  readonly #byTopic = new Map<string, Licence>();
  /** Those that may have ended since are among them. */
  readonly #untold = new Map<string, Licence>();
  readonly #now: () => number;
  /** When the last of the untold came. */
  #heardMs = 0;

  /** `now` tells when a frame has come. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The licence to hand a frame on, which counts as handed on then; nothing if the core must be asked. */
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
    if (licence.isTold) {
      licence.isTold = false;
      this.#untold.set(licence.topic, licence);
    }
    this.#heardMs = this.#now();
    return licence;
  }

  /** The core allows to hand on what continues this frame, which it has had for these entries. */
  grant(link: number, frame: PublicationFrame, entries: readonly Entry[]): void {
    const { topic, epoch, offset } = frame;
    this.#byTopic.set(topic, { topic, link, epoch, entries, offset, data: undefined, isTold: true });
  }

  /** Tells the core what was handed on of a topic, of which it is to decide something itself. */
  end(hub: ClientHub, topic: string): void {
    this.#byTopic.delete(topic);
    const untold = this.#untold.get(topic);
    if (untold !== undefined) {
      this.#tell(hub, untold);
    }
  }

  /** The core allows nothing any more. */
  endAll(): void {
    this.#byTopic.clear();
  }

  /** Tells the core of all that was handed on. */
  tell(hub: ClientHub): void {
    if (this.#untold.size > 0) {
      for (const licence of [...this.#untold.values()]) {
        this.#tell(hub, licence);
      }
    }
  }

  #tell(hub: ClientHub, licence: Licence): void {
    const { core } = hub;
    licence.isTold = true;
    this.#untold.delete(licence.topic);
    core.enter(() => {
      const topic = core.topicNumber(licence.topic);
      const slot = core.slots.put(licence.data);
      hub.handle_handed(this.#heardMs, topic, licence.epoch, licence.offset, slot);
    });
    licence.data = undefined;
  }

  /** The core is another one, which knows of nothing. */
  clear(): void {
    this.#byTopic.clear();
    this.#untold.clear();
  }
}
