/**
 * The payloads that a core holds: it knows them by number, and they never enter WASM memory.
 *
 * The core counts who still needs a slot and names the freed ones among its records (see `records.ts`).
 *
 * @internal
 */
export class Slots {
  #values: unknown[] = [];
  #free: number[] = [];

  /** Puts a payload into a slot of its own. */
  put(value: unknown): number {
    const slot = this.#free.pop();
    if (slot === undefined) {
      return this.#values.push(value) - 1;
    }
    this.#values[slot] = value;
    return slot;
  }

  /** What is in a slot. */
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
