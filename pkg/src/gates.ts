/** `throttle` and `debounce` for plain functions, decided by the core's gates. */

import { type Core, TICK_MS } from './core.js';
import { dispose } from './dispose.js';
import { localCore } from './engine.js';
import { badOption, report } from './errors.js';
import { frameHost } from './frame-clock.js';
import { Alarm, type Host, type Sleeper, systemHost } from './host.js';
import type { FunctionGates } from './machines.js';
import { durationMs } from './options.js';
import { Kind } from './records.js';
import { ceilingClock } from './task-clock.js';
import type { Duration } from './types.js';

// biome-ignore lint/suspicious/noExplicitAny: a function of any parameters, whose types are kept by inference
type AnyFunction = (this: any, ...args: any[]) => unknown;

/** A throttled or debounced function. */
export interface Gated<F extends AnyFunction> extends Disposable {
  /** Requests a call with these arguments. Returns the result of the last call that was made. */
  (this: ThisParameterType<F>, ...args: Parameters<F>): ReturnType<F> | undefined;
  /** Makes a pending call at once, if there is one. Returns the result of the last call. */
  flush(): ReturnType<F> | undefined;
  /** Drops a pending call, and forgets when the last one was made. */
  cancel(): void;
  /** Whether a call is pending. */
  pending(): boolean;
}

/** Options of {@link throttle}. */
export interface ThrottleOptions {
  /** Whether the first call of a burst is made at once. Default: true. */
  readonly leading?: boolean | undefined;
  /** Whether the last call within the time is made at its end. Default: true. */
  readonly trailing?: boolean | undefined;
  /** `'lodash'`: behave exactly like lodash's `throttle`, which can call twice within a millisecond. */
  readonly compat?: 'lodash' | undefined;
  /** The source of time. Default: the platform. */
  readonly host?: Host | undefined;
}

/** Options of {@link debounce}. */
export interface DebounceOptions {
  /** Whether the first call of a burst is made at once. Default: false. */
  readonly leading?: boolean | undefined;
  /** Whether the last call of a burst is made after it. Default: true. */
  readonly trailing?: boolean | undefined;
  /** The longest time for which a call is delayed. A value below the quiet time counts as the quiet time. */
  readonly maxWait?: Duration | undefined;
  /** The source of time. Default: the platform. */
  readonly host?: Host | undefined;
}

/** Opens a gate of its kind. */
type Opener = (gates: FunctionGates) => number;

interface Call {
  readonly target: Target;
  readonly self: unknown;
  readonly args: unknown[];
}

/** The function has no gate: it has not been called lately. */
const CLOSED = -1;

interface Target {
  readonly fn: AnyFunction;
  readonly open: Opener;
  gate: number;
  /** The era of the core in which the gate was opened. */
  era: number;
  /**
   * Until then, in the host's milliseconds, the core only needs to learn of the last call; undefined if it needs every
   * call.
   */
  restsUntil: number | undefined;
  /** The last call that the core does not know of yet, and its time. */
  heldSelf: unknown;
  heldArgs: unknown[] | undefined;
  heldAt: number;
  result: unknown;
}

function release(target: Target): void {
  target.heldSelf = undefined;
  target.heldArgs = undefined;
}

/** All gates of functions that share a host. */
class GateSet implements Sleeper {
  deadline = Number.POSITIVE_INFINITY;
  readonly #host: Host;
  readonly #alarm: Alarm;
  readonly #soon: () => number;
  readonly #targets: (Target | undefined)[] = [];
  /** The targets with a call that the core does not know of yet. */
  readonly #holding = new Set<Target>();
  #core: Core | undefined;
  #gates: FunctionGates | undefined;
  #era = 0;
  /** The `setTimeout` seen at the last call: test frameworks replace it. */
  #timers: unknown;

  private constructor(host: Host) {
    this.#host = host;
    this.#alarm = Alarm.of(host);
    this.#soon = ceilingClock(host);
  }

  static readonly #sets = new WeakMap<Host, GateSet>();

  static of(host: Host): GateSet {
    let set = GateSet.#sets.get(host);
    if (set === undefined) {
      set = new GateSet(host);
      GateSet.#sets.set(host, set);
    }
    return set;
  }

  call(target: Target, self: unknown, args: unknown[]): void {
    if (this.#timers !== globalThis.setTimeout) {
      this.#forgetReplaced();
    }
    // `soon` is never before the actual time: an earlier one would shorten a delay, or hold a call whose window is
    // over.
    const soon = this.#soon();
    const { restsUntil } = target;
    if (restsUntil !== undefined && soon + TICK_MS < restsUntil && target.era === this.#core?.era) {
      if (target.heldArgs === undefined) {
        this.#holding.add(target);
      }
      target.heldSelf = self;
      target.heldArgs = args;
      target.heldAt = soon;
      return;
    }
    const gates = this.#machine();
    const { core } = gates;
    let count: number;
    try {
      if (!this.#isOpen(target)) {
        target.gate = target.open(gates);
        target.era = this.#era;
        this.#targets[target.gate] = target;
      }
      this.#flushHeld(gates, target);
      target.restsUntil = undefined;
      const call: Call = { target, self, args };
      count = gates.handle_call(this.#host.now(), target.gate, core.slots.put(call));
    } catch (error) {
      throw core.recover(error);
    }
    this.#run(count);
  }

  flush(target: Target): void {
    if (this.#isOpen(target)) {
      const gates = this.#machine();
      this.#act(target, () => gates.handle_flush(this.#host.now(), target.gate));
    }
  }

  cancel(target: Target): void {
    if (this.#isOpen(target)) {
      const gates = this.#machine();
      this.#act(target, () => gates.handle_cancel(this.#host.now(), target.gate));
    }
  }

  isPending(target: Target): boolean {
    const gates = this.#machine();
    if (!this.#isOpen(target)) {
      return false;
    }
    this.#flushHeld(gates, target);
    return gates.core.enter(() => gates.is_pending(target.gate)) !== 0;
  }

  wake(): void {
    try {
      const gates = this.#machine();
      for (const target of [...this.#holding]) {
        this.#flushHeld(gates, target);
      }
      this.#run(gates.core.enter(() => gates.handle_timeout(this.#host.now())));
    } catch (error) {
      report(error);
    }
  }

  isAwaited(): boolean {
    return true;
  }

  /**
   * Fake timers of a test are discarded together with everything that waits for them, and the time after that is
   * another clock's. So pending calls are cancelled whenever timers have been replaced.
   */
  #forgetReplaced(): void {
    const wasCalled = this.#timers !== undefined;
    this.#timers = globalThis.setTimeout;
    if (wasCalled && this.#host === systemHost) {
      for (const target of Object.values(this.#targets)) {
        if (target !== undefined) {
          this.cancel(target);
        }
      }
    }
  }

  /** Makes a call about a gate, after telling the core of the call that it does not know of yet. */
  #act(target: Target, act: () => number): void {
    const gates = this.#machine();
    this.#flushHeld(gates, target);
    target.restsUntil = undefined;
    this.#run(gates.core.enter(act));
  }

  #flushHeld(gates: FunctionGates, target: Target): void {
    const { heldSelf: self, heldArgs: args } = target;
    if (args !== undefined) {
      release(target);
      this.#holding.delete(target);
      const { core } = gates;
      const call: Call = { target, self, args };
      core.enter(() => gates.handle_held(target.heldAt, target.gate, core.slots.put(call)));
    }
  }

  #isOpen(target: Target): boolean {
    return target.gate !== CLOSED && target.era === this.#core?.era;
  }

  #machine(): FunctionGates {
    this.#core ??= readyCore();
    const core = this.#core;
    if (this.#gates === undefined || this.#era !== core.era) {
      this.#gates = core.enter(() => core.machine<FunctionGates>('gates_', core.calls.gates_new()));
      this.#era = core.era;
      this.#targets.length = 0;
      this.#holding.forEach(release);
      this.#holding.clear();
    }
    return this.#gates;
  }

  /**
   * Reads which calls are due, then makes them. An error of the last one is thrown to the caller; those of the others
   * are reported.
   */
  #run(count: number): void {
    const gates = this.#machine();
    const { core } = gates;
    const due: Call[] = [];
    core.forEachRecord(count, (row) => {
      if (row.kind === Kind.Call) {
        due.push(core.slots.value(row.slot) as Call);
        return;
      }
      const target = this.#targets[row.subject]!;
      if (row.kind === Kind.GateRests) {
        target.restsUntil = Math.floor(row.offset);
      } else if (row.kind === Kind.GateIdle) {
        target.gate = CLOSED;
        target.restsUntil = undefined;
        this.#targets[row.subject] = undefined;
      }
    });
    this.#alarm.set(
      this,
      core.enter(() => gates.poll_timeout()),
    );
    const last = due.pop();
    for (const call of due) {
      try {
        make(call);
      } catch (error) {
        report(error);
      }
    }
    if (last !== undefined) {
      make(last);
    }
  }
}

function make({ target, self, args }: Call): void {
  target.result = target.fn.apply(self, args);
}

function readyCore(): Core {
  const core = localCore();
  core.loadNow();
  return core;
}

function gated<F extends AnyFunction>(fn: F, host: Host, open: Opener): Gated<F> {
  if (typeof fn !== 'function') {
    throw badOption('what is to be called', fn, 'a function');
  }
  const set = GateSet.of(host);
  const target: Target = {
    fn,
    open,
    gate: CLOSED,
    era: 0,
    restsUntil: undefined,
    heldSelf: undefined,
    heldArgs: undefined,
    heldAt: 0,
    result: undefined,
  };
  const result = (): ReturnType<F> | undefined => target.result as ReturnType<F> | undefined;
  function wrapper(this: ThisParameterType<F>, ...args: Parameters<F>): ReturnType<F> | undefined {
    set.call(target, this, args);
    return result();
  }
  return Object.assign(wrapper, {
    flush: () => {
      set.flush(target);
      return result();
    },
    cancel: () => set.cancel(target),
    pending: () => set.isPending(target),
    [dispose]: () => set.cancel(target),
  });
}

/**
 * Calls `fn` at most once per `every`: the first time at once, then with the newest arguments at the end of each window.
 * `'frame'` is once per frame that the browser draws.
 *
 * Two calls are never closer than `every`, as with RxJS's `throttleTime`. lodash's own `throttle` differs there
 * (it can call twice within a millisecond); `{ compat: 'lodash' }` gives exactly that.
 */
export function throttle<F extends AnyFunction>(
  fn: F,
  every: Duration | 'frame',
  options?: ThrottleOptions,
): Gated<F> {
  const { leading = true, trailing = true, compat, host = systemHost } = options ?? {};
  const isByFrames = every === 'frame';
  const everyMs = isByFrames ? 1 : durationMs(every, 'every');
  return gated(fn, isByFrames ? frameHost(host) : host, (gates) =>
    compat === 'lodash'
      ? gates.debounce(everyMs, everyMs, leading, trailing)
      : gates.throttle(everyMs, leading, trailing),
  );
}

/** Calls `fn` once it has not been requested for `quiet`, with the newest arguments: lodash's `debounce`. */
export function debounce<F extends AnyFunction>(fn: F, quiet: Duration, options?: DebounceOptions): Gated<F> {
  const quietMs = durationMs(quiet, 'quiet');
  const { leading = false, trailing = true, maxWait, host = systemHost } = options ?? {};
  const maxWaitMs = maxWait === undefined ? Number.NaN : durationMs(maxWait, 'maxWait');
  return gated(fn, host, (gates) => gates.debounce(quietMs, maxWaitMs, leading, trailing));
}
