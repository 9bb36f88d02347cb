/** Processes the frames of the server: under a licence they are handed on directly, all others go to the core. */

import type { Entry } from './entry.js';
import { FrameIntake, farewell, isPublication, parseMessage } from './frames.js';
import { Licences } from './licences.js';
import type { TabHub } from './machines.js';
import type { Audience } from './mailbox.js';
import { Kind, type Row } from './records.js';
import { hear, type TabMessage } from './tabs/message.js';
import type { Update } from './types.js';

/**
 * What the reception of frames needs of the connection.
 *
 * @internal
 */
export interface ReceptionEvents {
  now(): number;
  /** The hub, without telling it first what was handed on. */
  hub(): TabHub;
  /** Reads the records of a call. `published`: the slot of the publication that was passed to it. */
  read(count: number, published?: number): void;
  /** The entries that got that publication in the records read last. */
  reached(): readonly Entry[];
  /** The same as an audience. */
  audience(): Audience;
  /** Delivers an update to an audience: now, or after what is queued already. */
  readonly handAll: (audience: Audience, update: Update) => void;
  /** Queues an update for an audience. */
  readonly put: (audience: Audience, update: Update) => void;
  /** The server has said why it is about to close the connection. */
  refused(reason: string): void;
  /** A message or a frame was invalid. */
  failed(thrown: unknown): void;
}

/** @internal */
export class Reception {
  readonly #events: ReceptionEvents;
  readonly #licences: Licences;
  #intake = new FrameIntake();
  #isLicensed = false;

  constructor(events: ReceptionEvents) {
    this.#events = events;
    this.#licences = new Licences(events.now);
  }

  /** Processes a message of the server. */
  receive(link: number, text: unknown): void {
    let message: unknown;
    try {
      message = parseMessage(text);
    } catch (thrown) {
      this.#events.failed(thrown);
      return;
    }
    const { put, handAll } = this.#events;
    if (Array.isArray(message)) {
      // Handlers wait: what one of them does must not come between the frames of a message.
      for (const frame of message) {
        this.#take(link, frame, put);
      }
    } else {
      this.#take(link, message, handAll);
    }
  }

  /**
   * Hands a frame on under its licence, or passes it to the core. An invalid one is reported, and does not stop those
   * after it.
   */
  #take(link: number, frame: unknown, hand: (to: Audience, update: Update) => void): void {
    const licence = isPublication(frame) ? this.#licences.take(link, frame) : undefined;
    if (licence !== undefined) {
      const { topic, epoch, offset, data, audience } = licence;
      hand(audience, { topic, data, epoch, offset });
      return;
    }
    try {
      this.#takeIn(link, frame, this.#events.now());
    } catch (thrown) {
      this.#events.failed(thrown);
    }
  }

  /** Passes a frame to the core. */
  #takeIn(link: number, frame: unknown, nowMs: number): void {
    const { read, reached, audience } = this.#events;
    const hub = this.#events.hub();
    if (!isPublication(frame)) {
      this.#licences.tell(hub);
      const reason = farewell(frame);
      if (reason !== undefined) {
        this.#events.refused(reason);
      }
      read(this.#intake.take(hub, nowMs, link, frame));
      return;
    }
    this.#licences.end(hub, frame.topic);
    this.#isLicensed = false;
    const count = this.#intake.take(hub, nowMs, link, frame);
    read(count, this.#intake.slot);
    if (this.#isLicensed && reached().length > 0) {
      this.#licences.grant(link, frame, audience());
    }
  }

  /** Processes messages of other tabs. An invalid one does not stop those after it. */
  hear(messages: readonly TabMessage[]): void {
    const { hub, now, read, failed } = this.#events;
    const told = hub();
    this.tell(told);
    for (const message of messages) {
      try {
        read(hear(told, this.#intake, now(), message));
      } catch (thrown) {
        failed(thrown);
      }
    }
  }

  /** Processes a record about licences. */
  takeRow({ kind }: Row): void {
    if (kind === Kind.LicencesEnded) {
      this.#licences.endAll();
    } else if (kind === Kind.Licensed) {
      this.#isLicensed = true;
    }
  }

  /** Tells the core what was handed on under licences. */
  tell(hub: TabHub): void {
    this.#licences.tell(hub);
  }

  /** Forgets everything, for a new core. */
  clear(): void {
    this.#intake = new FrameIntake();
    this.#licences.clear();
  }
}
