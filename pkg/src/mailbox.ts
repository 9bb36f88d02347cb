/**
 * What is due, in order, until it is handed over.
 *
 * One thing at a time: what becomes due while a handler runs is handed over after what was due before. What a
 * handler throws is reported and keeps nobody from an update.
 */

import { type Entry, type Handler, handle } from './entry.js';
import { report } from './errors.js';
import type { Update } from './types.js';

type Task = () => void;

/**
 * Those who get the same, as long as nobody among them is another.
 *
 * @internal
 */
export interface Audience {
  readonly entries: readonly Entry[];
  /** What to call for each of them, while there has been no other change. */
  readonly handlers: readonly Handler[];
  readonly changes: number;
}

/** So many changes there never are. */
const NEVER = -1;

/** @internal */
export class Mailbox {
  /** Pairs: an entry and what its handler is due, or a task and nothing. Pairs in one list cost least. */
  readonly #due: unknown[] = [];
  #isHandingOver = false;
  #isScheduled = false;
  /** How often an entry has become another one since its audience was made, or may have. */
  #changes = 0;

  /** Queues `due` for the handler of `entry`. */
  put(entry: Entry, due: unknown): void {
    this.#due.push(entry, due);
  }

  /** These entries, to be handed the same from now on. */
  audience(entries: readonly Entry[]): Audience {
    const isPlain = entries.every((entry) => !entry.collects && entry.handled === undefined);
    const handlers = isPlain ? entries.map((entry) => entry.handler) : [];
    return { entries, handlers, changes: isPlain ? this.#changes : NEVER };
  }

  /** An entry is no longer active, or gets something else from now on. */
  noteChange(): void {
    this.#changes += 1;
  }

  /** Hands the same to many: now, or in its turn, where something is before it. */
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
    // By index: with one handler, an iterator costs as much as the call.
    for (let nth = 0; nth < entries.length; nth += 1) {
      try {
        if (this.#changes === changes) {
          // Engines call functions out of a list soonest.
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

  /** Queues something to be done. */
  putTask(task: Task): void {
    this.#due.push(task, undefined);
  }

  /** Hands over what is queued, soon: not within the call that made it due. */
  schedule(): void {
    if (this.#due.length > 0 && !this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.handOver();
      });
    }
  }

  /** Hands over what is queued, now, unless that is being done further up. */
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
