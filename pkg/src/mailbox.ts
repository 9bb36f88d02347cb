/**
 * A queue of what is due to handlers, in order.
 *
 * Handlers run one at a time: what becomes due while one runs is queued behind the rest. An error that a handler throws
 * is reported, and does not stop the other deliveries.
 */

import { type Entry, type Handler, handle } from './entry.js';
import { report } from './errors.js';
import type { Update } from './types.js';

type Task = () => void;

/**
 * Entries that all get the same updates, until one of them changes.
 *
 * @internal
 */
export interface Audience {
  readonly entries: readonly Entry[];
  /** Their handlers, valid as long as `changes` is the mailbox's count. */
  readonly handlers: readonly Handler[];
  readonly changes: number;
}

/** A count of changes that never occurs. */
const NEVER = -1;

/** The audience of topics whose subscriptions are all paced: one for all, which stays in the processor's cache. */
const NOBODY: Audience = { entries: [], handlers: [], changes: NEVER };

/** @internal */
export class Mailbox {
  /**
   * Pairs: an entry and what is due to its handler, or a task and undefined. A flat list is cheaper than one of
   * objects.
   */
  readonly #due: unknown[] = [];
  #isHandingOver = false;
  #isScheduled = false;
  /** Counts changes of entries, which invalidate the handlers of audiences. */
  #changes = 0;

  /** Queues `due` for the handler of `entry`. */
  put(entry: Entry, due: unknown): void {
    this.#due.push(entry, due);
  }

  /** Makes an audience of entries that get the same updates from now on. */
  audience(entries: readonly Entry[]): Audience {
    if (entries.length === 0) {
      return NOBODY;
    }
    const isPlain = entries.every((entry) => !entry.collects && entry.handled === undefined);
    const handlers = isPlain ? entries.map((entry) => entry.handler) : [];
    return { entries, handlers, changes: isPlain ? this.#changes : NEVER };
  }

  /** Notes that an entry has ended, or that its flow has changed. */
  noteChange(): void {
    this.#changes += 1;
  }

  /** Delivers an update to an audience: now, or after what is queued already. */
  handAll({ entries, handlers, changes }: Audience, update: Update): void {
    const isFirst = !this.#isHandingOver && this.#due.length === 0;
    if (!isFirst) {
      for (const entry of entries) {
        this.put(entry, entry.collects ? [update] : update);
      }
      this.handOver();
      return;
    }
    this.#isHandingOver = true;
    // By index: with a single handler, an iterator would cost as much as the call.
    for (let nth = 0; nth < entries.length; nth += 1) {
      try {
        if (this.#changes === changes) {
          // Engines are fastest at calling functions straight from an array.
          const handler = handlers[nth]!;
          handler(update as never);
        } else {
          const entry = entries[nth]!;
          handle(entry, entry.collects ? [update] : update);
        }
      } catch (error) {
        report(error);
      }
    }
    this.#isHandingOver = false;
    if (this.#due.length > 0) {
      this.handOver();
    }
  }

  /** Queues a task. */
  putTask(task: Task): void {
    this.#due.push(task, undefined);
  }

  /** Delivers what is queued in a microtask, rather than within the current call. */
  schedule(): void {
    if (this.#due.length > 0 && !this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.handOver();
      });
    }
  }

  /** Delivers what is queued, unless a caller further up is already doing so. */
  handOver(): void {
    if (this.#isHandingOver) {
      return;
    }
    this.#isHandingOver = true;
    const due = this.#due;
    for (let next = 0; next < due.length; next += 2) {
      const to = due[next] as Entry | Task;
      try {
        if (typeof to === 'function') {
          to();
        } else {
          handle(to, due[next + 1]);
        }
      } catch (error) {
        report(error);
      }
    }
    due.length = 0;
    this.#isHandingOver = false;
  }
}
