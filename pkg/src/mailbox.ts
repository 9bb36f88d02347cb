/**
 * What is due, in order, until it is handed over.
 *
 * One thing at a time: what becomes due while a handler runs is handed over after what was due before. What a
 * handler throws is reported and keeps nobody from an update.
 */

import { type Entry, handle } from './entry.js';
import { report } from './errors.js';
import type { Update } from './types.js';

type Task = () => void;

/** @internal */
export class Mailbox {
  /** Pairs: an entry and what its handler is due, or a task and nothing. Pairs in one list cost least. */
  readonly #due: unknown[] = [];
  #isHandingOver = false;
  #isScheduled = false;

  /** Queues `due` for the handler of `entry`. */
  put(entry: Entry, due: unknown): void {
    this.#due.push(entry, due);
  }

  /** Hands the same to many: now, or in its turn, where something is before it. */
  handAll(entries: readonly Entry[], update: Update): void {
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
      const entry = entries[nth]!;
      try {
        handle(entry, entry.collects ? [update] : update);
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
