/**
 * What the core has due, read from a view of its memory after every call.
 *
 * A record is seven numbers: kind, subject, topic, epoch, offset, end, slot. The list is valid until the next
 * call into the core, so it is read whole, before any handler runs.
 */

import { core, currentEra } from './engine.js';
import { freeSlot } from './slots.js';

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
  Data: 20,
  Post: 21,
} as const;

/**
 * One record. The same object is used for all: copy what must last.
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

const row: Row = { kind: 0, subject: 0, topic: 0, epoch: 0, offset: 0, end: 0, slot: 0 };

let memory: WebAssembly.Memory | undefined;
let numbers = new Float64Array(0);
let era = 0;

/** The view of the core's memory, made anew where the memory has grown or is another one. */
function view(): Float64Array<ArrayBuffer> {
  if (memory === undefined || era !== currentEra()) {
    memory = core().module_memory() as WebAssembly.Memory;
    era = currentEra();
    numbers = new Float64Array(memory.buffer as ArrayBuffer);
  } else if (numbers.length === 0) {
    numbers = new Float64Array(memory.buffer as ArrayBuffer);
  }
  return numbers;
}

/**
 * Reads the list of `count` records. Freed slots are emptied here, after what was still to be read from them.
 *
 * @internal
 */
export function forEachRecord(count: number, take: (row: Row) => void): void {
  if (count === 0) {
    return;
  }
  const numbers = view();
  let at = core().records_at() / Float64Array.BYTES_PER_ELEMENT;
  for (const end = at + count * STRIDE; at < end; at += STRIDE) {
    const kind = numbers[at]!;
    if (kind === Kind.SlotFreed) {
      freeSlot(numbers[at + 6]!);
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

/**
 * Reads the list that a sweep of the topics left.
 *
 * @internal
 */
export function forEachForgottenTopic(count: number, take: (topic: number) => void): void {
  forEachRecord(count, (row) => {
    if (row.kind === Kind.TopicForgotten) {
      take(row.topic);
    }
  });
}
