/** What is done with the frames of the server: handed on by licence, or asked of the core. */

import type { Entry } from './entry.js';
import { FrameIntake, farewell, isPublication, parseMessage } from './frames.js';
import { Licences } from './licences.js';
import type { TabHub } from './machines.js';
import { Kind, type Row } from './records.js';
import { hear, type TabMessage } from './tabs/message.js';
import type { Update } from './types.js';

/**
 * The connection, as the reception of its frames needs it.
 *
 * @internal
 */
export interface ReceptionEvents {
  now(): number;
  /** As `now`, or a little before: see `task-clock.ts`. */
  readonly taskNow: () => number;
  /** The hub, without being told anything. */
  hub(): TabHub;
  /** Reads what a call left. `published`: the slot of the publication that was handed over. */
  read(count: number, published?: number): void;
  /** Whom what was read last had that publication for. */
  reached(): readonly Entry[];
  /** Hands the same to many. */
  hand(entries: readonly Entry[], update: Update): void;
  /** The server says why it ends the connection, which follows. */
  refused(reason: string): void;
  /** Something is wrong with what came. */
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
    this.#licences = new Licences(events.taskNow);
  }

  /** Takes a message of the server. */
  receive(link: number, text: unknown): void {
    let message: unknown;
    try {
      message = parseMessage(text);
    } catch (thrown) {
      this.#events.failed(thrown);
      return;
    }
    if (Array.isArray(message)) {
      for (const frame of message) {
        this.#take(link, frame);
      }
    } else {
      this.#take(link, message);
    }
  }

  /** Hands a frame on, if it may without asking. One that is not understood is reported, and does not stop those after it. */
  #take(link: number, frame: unknown): void {
    const licence = isPublication(frame) ? this.#licences.take(link, frame) : undefined;
    if (licence !== undefined) {
      const { topic, epoch, offset, data, entries } = licence;
      this.#events.hand(entries, { topic, data, epoch, offset });
      return;
    }
    try {
      this.#ask(link, frame, this.#events.now());
    } catch (thrown) {
      this.#events.failed(thrown);
    }
  }

  /** Asks the core what comes of a frame. */
  #ask(link: number, frame: unknown, nowMs: number): void {
    const { read, reached } = this.#events;
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
    const entries = reached();
    if (this.#isLicensed && entries.length > 0) {
      this.#licences.grant(link, frame, entries);
    }
  }

  /** Takes what other tabs have said together. What is wrong with one message does not stop those after it. */
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

  /** Takes what the core says of licences. */
  takeRow({ kind }: Row): void {
    if (kind === Kind.LicencesEnded) {
      this.#licences.endAll();
    } else if (kind === Kind.Licensed) {
      this.#isLicensed = true;
    }
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
