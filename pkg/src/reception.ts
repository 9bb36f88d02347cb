/** What is done with the frames of the server: handed on by licence, or asked of the core. */

import type { Entry } from './entry.js';
import { FrameIntake, isPublication } from './frames.js';
import { type Licence, Licences } from './licences.js';
import type { TabHub } from './machines.js';
import { Kind, type Row } from './records.js';
import type { Update } from './types.js';

/**
 * The connection, as the reception of its frames needs it.
 *
 * @internal
 */
export interface ReceptionEvents {
  /** The hub, without being told anything. */
  hub(): TabHub;
  /** Reads what a call left. `published`: the slot of the publication that was handed over. */
  read(count: number, published?: number): void;
  /** Whom what was read last had that publication for. */
  reached(): readonly Entry[];
  /** Hands the same to many. */
  hand(entries: readonly Entry[], update: Update): void;
}

/** @internal */
export class Reception {
  readonly #events: ReceptionEvents;
  readonly #licences = new Licences();
  #intake = new FrameIntake();
  #isLicensed = false;

  constructor(events: ReceptionEvents) {
    this.#events = events;
  }

  /** Hands a frame on, if it may without asking. */
  handsOn(link: number, frame: unknown, nowMs: number): boolean {
    const licence = isPublication(frame) ? this.#licences.take(link, frame, nowMs) : undefined;
    if (licence === undefined) {
      return false;
    }
    const { topic, epoch, offset, data, entries }: Licence = licence;
    this.#events.hand(entries, { topic, data, epoch, offset });
    return true;
  }

  /** Asks the core what comes of a frame. */
  ask(link: number, frame: unknown, nowMs: number): void {
    const { read, reached } = this.#events;
    const hub = this.#events.hub();
    if (!isPublication(frame)) {
      this.#licences.tell(hub);
      read(this.#intake.take(hub, nowMs, link, frame));
      return;
    }
    this.#licences.end(hub, frame.topic);
    this.#isLicensed = false;
    const count = this.#intake.take(hub, nowMs, link, frame);
    read(count, this.#intake.slot);
    const entries = reached();
    if (this.#isLicensed && entries.length > 0) {
      this.#licences.grant(link, frame, entries);
    }
  }

  /** Takes what the core says of licences. */
  takeRow({ kind }: Row): void {
    if (kind === Kind.LicencesEnded) {
      this.#licences.endAll();
    } else if (kind === Kind.Licensed) {
      this.#isLicensed = true;
    }
  }

  /** What hands frames over that other tabs have handed down. */
  get intake(): FrameIntake {
    return this.#intake;
  }

  /** Tells the core what was handed on without asking it. */
  tell(hub: TabHub): void {
    this.#licences.tell(hub);
  }

  /** The core is another one, which knows of nothing. */
  clear(): void {
    this.#intake = new FrameIntake();
    this.#licences.clear();
  }
}
