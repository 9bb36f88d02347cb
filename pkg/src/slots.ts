/**
 * The payloads that the core holds: it knows them by number, and they never enter WASM memory.
 *
 * The core counts who still needs a slot and names the freed ones among its records
 * (see `records.ts`). The exported functions whose names the bindings import are called from inside the
 * core: they touch nothing but slots, and they must not throw.
 */

import { mergePatch, sumFields } from './combine.js';

let values: unknown[] = [];
let free: number[] = [];

/**
 * Puts a payload into a slot of its own.
 *
 * @internal
 */
export function putSlot(value: unknown): number {
  const slot = free.pop();
  if (slot === undefined) {
    return values.push(value) - 1;
  }
  values[slot] = value;
  return slot;
}

/**
 * What is in a slot.
 *
 * @internal
 */
export function slotValue(slot: number): unknown {
  return values[slot];
}

/**
 * Empties a slot that the core no longer needs.
 *
 * @internal
 */
export function freeSlot(slot: number): void {
  values[slot] = undefined;
  free.push(slot);
}

/**
 * Empties every slot: the core that knew them is gone.
 *
 * @internal
 */
export function clearSlots(): void {
  values = [];
  free = [];
}

/**
 * How many slots are in use.
 *
 * @internal
 */
export function slotsInUse(): number {
  return values.length - free.length;
}

/**
 * For the core: a new slot with `newer` merged over `older` (RFC 7396).
 *
 * @internal
 */
export function merge_slots(older: number, newer: number): number {
  return putSlot(mergePatch(values[older], values[newer]));
}

/**
 * For the core: a new slot with both added up, field by field.
 *
 * @internal
 */
export function sum_slots(older: number, newer: number): number {
  return putSlot(sumFields(values[older], values[newer]));
}

/**
 * The member `field` of `value`, where `value` is an object and the member a text.
 *
 * @internal
 */
export function textMember(value: unknown, field: string): string | undefined {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  const member = (value as Record<string, unknown>)[field];
  return typeof member === 'string' ? member : undefined;
}
