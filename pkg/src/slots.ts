/**
 * The payloads that a core holds. It knows them by number; they never enter WASM memory.
 *
 * The core counts the references to each slot, and lists freed ones among its records (see `records.ts`).
 *
 * @internal
 */
export class Slots {
  #values: unknown[] = [];
  #free: number[] = [];

  /** Puts a payload into a free slot, and returns its number. */
  put(value: unknown): number {
    const slot = this.#free.pop();
    if (slot === undefined) {
      return this.#values.push(value) - 1;
    }
    this.#values[slot] = value;
    return slot;
  }

  /** The payload in a slot. */
  value(slot: number): unknown {
    return this.#values[slot];
  }

  /** Empties a slot that the core no longer needs. */
  free(slot: number): void {
    this.#values[slot] = undefined;
    this.#free.push(slot);
  }

  /** Empties every slot: the core that knew them is gone. */
  clear(): void {
    this.#values = [];
    this.#free = [];
  }

  /** How many slots are in use. */
  inUse(): number {
    return this.#values.length - this.#free.length;
  }
}
