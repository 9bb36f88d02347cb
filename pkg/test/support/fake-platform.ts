/** Fake clocks and timers that replace the platform's, as test libraries install them. */

import type { TestContext } from 'node:test';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A platform whose time advances only when the test says so, by whole milliseconds. */
export class FakePlatform {
  #now = 0;
  #lastId = 0;
  readonly #timers = new Map<number, Timer>();

  /** Replaces the platform's until the test ends, or until `remove`. Timers that are set then are lost. */
  static install(t: TestContext): FakePlatform & { remove(): void } {
    const platform = new FakePlatform();
    const { setTimeout, clearTimeout, performance } = globalThis;
    const now = Date.now;
    const remove = (): void => {
      Object.assign(globalThis, { setTimeout, clearTimeout });
      Reflect.deleteProperty(performance, 'now');
      Date.now = now;
    };
    Object.assign(globalThis, {
      setTimeout: (callback: () => void, delayMs: number) => platform.#set(callback, delayMs),
      clearTimeout: (id: number) => platform.#timers.delete(id),
    });
    Object.defineProperty(performance, 'now', { value: () => platform.now(), configurable: true });
    Date.now = () => 1_700_000_000_000 + platform.now();
    t.after(remove);
    return Object.assign(platform, { remove });
  }

  now(): number {
    return this.#now;
  }

  /** Sets the clock back to its start. Timers keep the time that is left. */
  setBack(): void {
    for (const [id, { at, callback }] of this.#timers) {
      this.#timers.set(id, { at: at - this.#now, callback });
    }
    this.#now = 0;
  }

  /** Removes all timers. */
  clearTimers(): void {
    this.#timers.clear();
  }

  /** Runs the timers that are due until then, in order. */
  advanceTo(ms: number): void {
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= ms).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) {
        break;
      }
      const [id, { at, callback }] = due;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      callback();
    }
    this.#now = ms;
  }

  #set(callback: () => void, delayMs: number): number {
    this.#lastId += 1;
    this.#timers.set(this.#lastId, { at: this.#now + Math.max(1, Math.trunc(delayMs)), callback });
    return this.#lastId;
  }
}
