/** What the core has due to subscriptions, read and put into the mailbox for their handlers. */

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
  /** The last update read: a publication for many subscriptions is made an object once. */
  #update: Update | undefined;
  #updateSlot = -1;
  /** The slot of what was just published, and whom the list that is read has it for, in its order, but for those who are paced. */
  #published = -1;
  #reached: Entry[] = [];

  /** `ended` is called at once for a subscription that is over, `drop` when its subscriber is told. */
  constructor(mailbox: Mailbox, ended: (entry: Entry) => void, drop: (entry: Entry) => void) {
    this.#mailbox = mailbox;
    this.#ended = ended;
    this.#drop = drop;
  }

  /** The core knows an entry by this number. */
  attach(entry: Entry, number: number): void {
    entry.number = number;
    this.#attached[number] = entry;
  }

  /** It knows it no more. */
  detach(entry: Entry): void {
    if (entry.number !== DETACHED) {
      this.#attached[entry.number] = undefined;
      entry.number = DETACHED;
    }
  }

  /** The core knows none of them. */
  clear(): void {
    this.#attached = [];
  }

  /** A list begins: slots are used anew. */
  begin(published: number): void {
    this.#published = published;
    this.#reached = [];
    this.#updateSlot = -1;
  }

  /** Whom the last list had what was just published for, but for those who are paced. */
  get reached(): readonly Entry[] {
    return this.#reached;
  }

  /** Takes a record about a subscription, or says that it is none. */
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
      this.#tell(entry, () => entry.options.onLagged?.(missed));
    }
  }

  /** Takes a note about a subscription, or says that it is none. */
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
        this.#tell(entry, () => entry.options.onReset?.({ topic, epoch, offset }));
      } else {
        this.#finish(entry, () => fail(entry, typedError(about.error)));
      }
    }
    return true;
  }

  /** A subscription is over for the core, and when its subscriber is told, for him. */
  #finish(entry: Entry, task: () => void): void {
    this.#ended(entry);
    this.#tell(entry, () => {
      this.#drop(entry);
      task();
    });
  }

  /** Queues something that its subscriber is to be told, if the subscription is still active then. */
  #tell(entry: Entry, task: () => void): void {
    this.#mailbox.putTask(() => {
      if (entry.active) {
        task();
      }
    });
  }
}
