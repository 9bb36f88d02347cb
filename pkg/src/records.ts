/**
 * Reads the records that a call into the core leaves in its memory.
 *
 * A record is seven numbers: kind, subject, topic, epoch, offset, end, slot. The list is only valid until the next call
 * into the core, so all of it is read before any handler runs.
 */

import type { Core } from './core.js';
import type { Exports } from './machines.js';

const STRIDE = 7;

/**
 * The kinds of records, as `records.rs` numbers them.
 *
 * @internal
 */
export const Kind = {
  Call: 0,
  One: 1,
  Part: 2,
  LastPart: 3,
  End: 4,
  Lagged: 5,
  Published: 6,
  Connect: 7,
  Disconnect: 8,
  SlotFreed: 9,
  TopicForgotten: 10,
  Note: 11,
  GateIdle: 12,
  Send: 13,
  Stored: 14,
  Licensed: 15,
  LicencesEnded: 16,
  GateRests: 17,
  /** As `One`, for a subscription with a pace. */
  Paced: 18,
  Data: 20,
  Post: 21,
} as const;

/**
 * One record. The object is reused: copy what must last.
 *
 * @internal
 */
export interface Row {
  kind: number;
  subject: number;
  topic: number;
  epoch: number;
  offset: number;
  end: number;
  slot: number;
}

/**
 * Reads the records of one core.
 *
 * @internal
 */
export class RecordReader {
  readonly #core: Core;
  readonly #row: Row = { kind: 0, subject: 0, topic: 0, epoch: 0, offset: 0, end: 0, slot: 0 };
  #memory: Exports['memory'] | undefined;
  #numbers = new Float64Array(0);

  constructor(core: Core) {
    this.#core = core;
  }

  /** A view of the core's memory, renewed if the memory has grown or was replaced. */
  #view(): Float64Array<ArrayBuffer> {
    const { memory } = this.#core.calls;
    if (memory !== this.#memory || this.#numbers.length === 0) {
      this.#memory = memory;
      this.#numbers = new Float64Array(memory.buffer as ArrayBuffer);
    }
    return this.#numbers;
  }

  /**
   * Reads the list of `count` records. It also empties freed slots: their records come after the last one that uses
   * them.
   */
  forEach(count: number, take: (row: Row) => void): void {
    if (count === 0) {
      return;
    }
    const row = this.#row;
    const numbers = this.#view();
    let at = this.#core.calls.records_at() / Float64Array.BYTES_PER_ELEMENT;
    for (const end = at + count * STRIDE; at < end; at += STRIDE) {
      const kind = numbers[at]!;
      if (kind === Kind.SlotFreed) {
        this.#core.slots.free(numbers[at + 6]!);
        continue;
      }
      row.kind = kind;
      row.subject = numbers[at + 1]!;
      row.topic = numbers[at + 2]!;
      row.epoch = numbers[at + 3]!;
      row.offset = numbers[at + 4]!;
      row.end = numbers[at + 5]!;
      row.slot = numbers[at + 6]!;
      take(row);
    }
  }
}
