/** Reads what the core has due for subscriptions, and puts it into the mailbox for their handlers. */

import type { Core } from './core.js';
import { DETACHED, type Entry, fail } from './entry.js';
import { typedError } from './errors.js';
import type { Mailbox } from './mailbox.js';
import { endReason } from './options.js';
import { Kind, type Row } from './records.js';
import { handleReduced } from './reduce.js';
import type { SubscriptionNote } from './subscription-notes.js';
import type { EndReason, Update } from './types.js';

/** @internal */
export class Deliveries {
  readonly #mailbox: Mailbox;
  readonly #ended: (entry: Entry) => void;
  readonly #drop: (entry: Entry) => void;
  /** The entries that the core knows, by their numbers. */
  #attached: (Entry | undefined)[] = [];
  /** The last update read: many subscriptions share one object. */
  #update: Update | undefined;
  #updateSlot = -1;
  /**
   * The slot of the publication that caused the current list of records, and the unpaced subscriptions that get it, in
   * order.
   */
  #published = -1;
  #reached: Entry[] = [];

  /** `ended` is called as soon as the core ends a subscription, `drop` when its subscriber learns of it. */
  constructor(mailbox: Mailbox, ended: (entry: Entry) => void, drop: (entry: Entry) => void) {
    this.#mailbox = mailbox;
    this.#ended = ended;
    this.#drop = drop;
  }

  /** Notes the number that the core has for an entry. */
  attach(entry: Entry, number: number): void {
    entry.number = number;
    this.#attached[number] = entry;
  }

  /** Notes that the core no longer knows an entry. */
  detach(entry: Entry): void {
    if (entry.number !== DETACHED) {
      this.#attached[entry.number] = undefined;
      entry.number = DETACHED;
    }
  }

  /** Notes that the core knows no entry. */
  clear(): void {
    this.#attached = [];
  }

  /** Begins a new list of records, in which slots may have been reused. */
  begin(published: number): void {
    this.#published = published;
    this.#reached = [];
    this.#updateSlot = -1;
  }

  /** The unpaced subscriptions that the last list had the publication for. */
  get reached(): readonly Entry[] {
    return this.#reached;
  }

  /** Processes a record, if it is about a subscription; returns whether it is. */
  take(core: Core, row: Row): boolean {
    const entry = this.#attached[row.subject];
    switch (row.kind) {
      case Kind.One:
        this.#takeOne(entry, this.#updateOf(core, row));
        if (row.slot === this.#published && entry !== undefined) {
          this.#reached.push(entry);
        }
        break;
      case Kind.Paced:
        this.#takeOne(entry, this.#updateOf(core, row));
        break;
      case Kind.Part:
        entry?.parts.push(this.#updateOf(core, row));
        break;
      case Kind.LastPart:
        this.#takeLastPart(entry, this.#updateOf(core, row));
        break;
      case Kind.End:
        this.#takeEnd(entry, endReason(row.end)!);
        break;
      case Kind.Lagged:
        this.#takeLagged(entry, row.offset);
        break;
      default:
        return false;
    }
    return true;
  }

  #updateOf(core: Core, row: Row): Update {
    if (row.slot !== this.#updateSlot) {
      const end = endReason(row.end);
      const update = {
        topic: core.topicName(row.topic),
        data: core.slots.value(row.slot),
        epoch: row.epoch,
        offset: row.offset,
      };
      this.#update = end === undefined ? update : { ...update, end };
      this.#updateSlot = row.slot;
    }
    return this.#update!;
  }

  #takeOne(entry: Entry | undefined, update: Update): void {
    if (entry !== undefined) {
      const due = entry.collects ? [update] : update;
      this.#mailbox.put(entry, due);
    }
  }

  #takeLastPart(entry: Entry | undefined, update: Update): void {
    if (entry === undefined) {
      return;
    }
    const parts = entry.parts;
    entry.parts = [];
    parts.push(update);
    const { reduce } = entry;
    if (entry.collects) {
      this.#mailbox.put(entry, parts);
    } else if (reduce !== undefined) {
      this.#mailbox.putTask(() => handleReduced(entry, parts, reduce));
    } else {
      for (const part of parts) {
        this.#takeOne(entry, part);
      }
    }
  }

  #takeEnd(entry: Entry | undefined, reason: EndReason): void {
    if (entry !== undefined) {
      this.#finish(entry, () => entry.options.onEnd?.(reason));
    }
  }

  #takeLagged(entry: Entry | undefined, missed: number): void {
    if (entry !== undefined) {
      this.#queue(entry, () => entry.options.onLagged?.(missed));
    }
  }

  /** Processes a note, if it is about a subscription; returns whether it is. */
  takeNote(note: { readonly note: string }): boolean {
    if (note.note !== 'reset' && note.note !== 'refused' && note.note !== 'since') {
      return false;
    }
    const about = note as SubscriptionNote;
    const entry = this.#attached[about.subscription];
    if (entry !== undefined) {
      if (about.note === 'since') {
        entry.since = about.since;
      } else if (about.note === 'reset') {
        const { topic, epoch, offset } = about;
        this.#queue(entry, () => entry.options.onReset?.({ topic, epoch, offset }));
      } else {
        this.#finish(entry, () => fail(entry, typedError(about.error)));
      }
    }
    return true;
  }

  /** Ends a subscription: for the core at once, for its subscriber when the queued task runs. */
  #finish(entry: Entry, task: () => void): void {
    this.#ended(entry);
    this.#queue(entry, () => {
      this.#drop(entry);
      task();
    });
  }

  /** Queues a task for the subscriber, which is skipped if the subscription is no longer active by then. */
  #queue(entry: Entry, task: () => void): void {
    this.#mailbox.putTask(() => {
      if (entry.active) {
        task();
      }
    });
  }
}
