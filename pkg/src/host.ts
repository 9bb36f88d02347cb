import { areTimersFake, clockEra, platformNow } from './platform-clock.js';
import { platformFrame } from './platform-frame.js';

/**
 * The source of time, timers and randomness for the package.
 *
 * The default is the platform. Tests can pass their own, to run in virtual time.
 */
export interface Host {
  /** Milliseconds on a clock that never goes back. Where 0 lies is the host's choice. */
  now(): number;
  /** Calls `callback` once, `delayMs` milliseconds from now or later. */
  setTimer(callback: () => void, delayMs: number): unknown;
  /** Cancels a timer. */
  clearTimer(timer: unknown): void;
  /**
   * Calls `callback` when the next frame of the screen is drawn, or after a while if none is drawn. Returns a function
   * that prevents the call. Default: a timer of 16 ms.
   */
  requestFrame?(callback: () => void): () => void;
  /** A number from 0 up to but not including 1. It seeds the jitter of reconnects, and epochs. */
  random(): number;
}

/** The platform's clock, timers and randomness. */
export const systemHost: Host = {
  now: platformNow,
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  requestFrame: platformFrame,
  random: () => Math.random(),
};

/** The longest delay that `setTimeout` takes without overflowing; a later deadline is approached in steps. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/**
 * Something that wants to be woken.
 *
 * @internal
 */
export interface Sleeper {
  /** When to be woken at the latest, in the host's milliseconds; `Infinity` for never. */
  deadline: number;
  /** Called at or after the deadline, and harmlessly before it. */
  wake(): void;
  /** Whether somebody waits for the wake-up. If not, it does not keep a Node program running. */
  isAwaited(): boolean;
}

/**
 * The one timer of a host: armed for the earliest deadline of all sleepers.
 *
 * A deadline that moves further away leaves the timer as it is: it fires early, wakes nobody and is armed again. So a
 * debounce that every call postpones costs no call to the platform.
 *
 * @internal
 */
export class Alarm {
  readonly #host: Host;
  readonly #sleepers = new Set<Sleeper>();
  #armedFor = Number.POSITIVE_INFINITY;
  #timer: unknown;
  /**
   * The `setTimeout` that set the timer, and the clock's era. When a test replaces them by fake timers, or restores them,
   * pending timers are lost.
   */
  #timers: unknown;
  #era = 0;
  #ringing: (() => void) | undefined;
  /** Whether the timer lets a program end: nobody waited for any of the sleepers when it was set. */
  #isWeak = false;

  private constructor(host: Host) {
    this.#host = host;
  }

  static readonly #alarms = new WeakMap<Host, Alarm>();

  /** The alarm of `host`: always the same one. */
  static of(host: Host): Alarm {
    let alarm = Alarm.#alarms.get(host);
    if (alarm === undefined) {
      alarm = new Alarm(host);
      Alarm.#alarms.set(host, alarm);
    }
    return alarm;
  }

  /** Changes the deadline of a sleeper. */
  set(sleeper: Sleeper, deadline: number): void {
    if (this.#timer !== undefined) {
      this.#checkTimer();
    }
    if (deadline === sleeper.deadline && !this.#isWeak) {
      return;
    }
    sleeper.deadline = deadline;
    if (deadline === Number.POSITIVE_INFINITY) {
      this.#sleepers.delete(sleeper);
      if (this.#sleepers.size === 0) {
        this.#disarm();
      }
      return;
    }
    this.#sleepers.add(sleeper);
    if (deadline < this.#armedFor) {
      this.#arm(deadline);
    } else if (this.#isWeak && sleeper.isAwaited()) {
      this.#arm(this.#armedFor);
    }
  }

  /** Sets the timer again if tests may have removed it. */
  #checkTimer(): void {
    if (this.#timers !== globalThis.setTimeout || this.#era !== clockEra()) {
      // To clear a timer is for those who set it. If it rings nevertheless, it is ignored.
      (this.#timer as { unref?(): void }).unref?.();
      this.#forget();
      this.#arm(this.#earliest());
    } else if (areTimersFake()) {
      // Tests can also remove pending timers without replacing what sets them.
      this.#arm(this.#earliest());
    }
  }

  #arm(deadline: number): void {
    this.#disarm();
    const delayMs = Math.min(Math.max(Math.ceil(deadline - this.#host.now()), 0), DELAY_MS_MAX);
    this.#armedFor = deadline;
    this.#timers = globalThis.setTimeout;
    this.#era = clockEra();
    const ringing = (): void => {
      if (this.#ringing === ringing) {
        this.#ring();
      }
    };
    this.#ringing = ringing;
    this.#timer = this.#host.setTimer(ringing, delayMs);
    // Only Node's timers keep a program running, and only they have this.
    const timer = this.#timer as { unref?(): void };
    this.#isWeak = timer.unref !== undefined && ![...this.#sleepers].some((sleeper) => sleeper.isAwaited());
    if (this.#isWeak) {
      timer.unref?.();
    }
  }

  #disarm(): void {
    if (this.#timer !== undefined) {
      this.#host.clearTimer(this.#timer);
      this.#forget();
    }
  }

  #forget(): void {
    this.#timer = undefined;
    this.#ringing = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  #ring(): void {
    this.#forget();
    const now = this.#host.now();
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.deadline <= now) {
        sleeper.wake();
      }
    }
    const earliest = this.#earliest();
    if (earliest < this.#armedFor) {
      this.#arm(earliest);
    }
  }

  #earliest(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const sleeper of this.#sleepers) {
      earliest = Math.min(earliest, sleeper.deadline);
    }
    return earliest;
  }
}
