import type { Host } from 'tidegate';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A host whose clock stands still until the test advances it. */
export class VirtualHost implements Host {
  #now = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();
  #random = 1;
  /** The most timers that were armed at once. */
  armedMax = 0;

  now(): number {
    return this.#now;
  }

  setTimer(callback: () => void, delayMs: number): unknown {
    this.#order += 1;
    const timer = { at: this.#now + delayMs, order: this.#order, callback };
    this.#timers.add(timer);
    this.armedMax = Math.max(this.armedMax, this.#timers.size);
    return timer;
  }

  clearTimer(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  random(): number {
    this.#random = (this.#random * 48_271) % 2_147_483_647;
    return this.#random / 2_147_483_647;
  }

  get armed(): number {
    return this.#timers.size;
  }

  /** Advances to `ms`, and runs every timer on the way at its time. */
  advanceTo(ms: number): void {
    for (let timer = this.#next(ms); timer !== undefined; timer = this.#next(ms)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
    }
    this.#now = Math.max(this.#now, ms);
  }

  advance(ms: number): void {
    this.advanceTo(this.#now + ms);
  }

  /** Runs all queued microtasks. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Jumps to `ms`, like a page that was asleep: timers that were due on the way run only now. */
  jumpTo(ms: number): void {
    this.#now = ms;
    this.advanceTo(ms);
  }

  #next(ms: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      const isEarlier =
        first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order);
      if (timer.at <= ms && isEarlier) {
        first = timer;
      }
    }
    return first;
  }
}

/** A host whose frames are drawn by the test. */
export class ScreenHost extends VirtualHost {
  readonly #asked = new Set<() => void>();

  requestFrame(callback: () => void): () => void {
    this.#asked.add(callback);
    return () => this.#asked.delete(callback);
  }

  get isAsked(): boolean {
    return this.#asked.size > 0;
  }

  draw(): void {
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const callback of asked) {
      callback();
    }
  }
}
