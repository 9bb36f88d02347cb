import { badOption, TidegateError } from './errors.js';
import type {
  Collect,
  CollectFlowOptions,
  Duration,
  EndReason,
  FlowOptions,
  PublishOptions,
} from './types.js';

/**
 * A flow as the wire and the core spell it.
 *
 * @internal
 */
export interface FlowSpec {
  /** A throttle of one frame. */
  by_frames?: true;
  throttle_ms?: number;
  debounce_ms?: number;
  max_wait_ms?: number;
  leading?: boolean;
  trailing?: boolean;
  conflate?: 'latest' | 'merge' | 'sum' | 'collect';
  max?: number;
  delta?: boolean;
}

/** How many publications may wait for a reducer, which is then called early. */
const REDUCED_MAX = 5_000;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * The milliseconds of a duration such as `'1.5s'`, rounded to whole ones.
 *
 * @internal
 */
export function durationMs(duration: Duration, name: string): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) {
      return Math.round(duration);
    }
  } else if (typeof duration === 'string') {
    const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(duration);
    if (parts !== null) {
      return Math.round(Number(parts[1]) * UNIT_MS[parts[2]!]!);
    }
  }
  throw badOption(name, duration, "milliseconds as a number, or a text such as '250ms', '1s' or '2m'");
}

/**
 * @throws {@link TidegateError} with code `bad_option`, if `signal` is something else.
 * @internal
 */
export function checkSignal(signal: AbortSignal | null | undefined): void {
  if (signal && !('aborted' in signal && 'addEventListener' in signal)) {
    throw badOption('signal', signal, 'the signal of an AbortController');
  }
}

/**
 * Whether `value` is a whole number of at least 0 that is exact.
 *
 * @internal
 */
export function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * A topic or a pattern, if it is a text. The core checks its syntax.
 *
 * @throws {@link TidegateError} with code `bad_topic`.
 * @internal
 */
export function topicText(text: unknown): string {
  if (typeof text !== 'string') {
    throw new TidegateError('bad_topic', `the topic is ${String(text)}: give a text`);
  }
  return text;
}

/**
 * A text that may be absent.
 *
 * @throws {@link TidegateError} with code `bad_option`, if it is something else.
 * @internal
 */
export function optionalText(text: unknown, name: string): string | undefined {
  if (typeof (text ?? '') !== 'string') {
    throw badOption(name, text, 'a text');
  }
  return (text as string | null) ?? undefined;
}

const SWITCHES = ['leading', 'trailing', 'delta'] as const;

/**
 * The core's spelling of a flow. The core checks whether it makes sense.
 *
 * @throws {@link TidegateError} with code `bad_option`.
 * @internal
 */
export function flowSpec(flow: FlowOptions | CollectFlowOptions): FlowSpec | undefined {
  const spec: FlowSpec = {};
  if (flow.throttle === 'frame') {
    spec.by_frames = true;
  } else if (flow.throttle !== undefined) {
    spec.throttle_ms = durationMs(flow.throttle, 'throttle');
  }
  if (flow.debounce !== undefined) {
    spec.debounce_ms = durationMs(flow.debounce, 'debounce');
  }
  if (flow.maxWait !== undefined) {
    spec.max_wait_ms = durationMs(flow.maxWait, 'maxWait');
  }
  for (const name of SWITCHES) {
    const isOn = flow[name];
    if (isOn !== undefined) {
      if (typeof isOn !== 'boolean') {
        throw badOption(name, isOn, 'true or false');
      }
      spec[name] = isOn;
    }
  }
  if (typeof flow.conflate === 'function') {
    spec.conflate = 'collect';
    spec.max = REDUCED_MAX;
  } else if (typeof flow.conflate === 'object') {
    const max = (flow.conflate as Collect | null)?.collect as number;
    if (!isCount(max)) {
      throw badOption('conflate.collect', max, 'a whole number');
    }
    spec.conflate = 'collect';
    spec.max = max;
  } else if (flow.conflate !== undefined) {
    spec.conflate = flow.conflate;
  }
  return Object.keys(spec).length === 0 ? undefined : spec;
}

const CONFLATIONS: readonly unknown[] = ['latest', 'merge', 'sum', 'collect'];

type FlowNumbers = [boolean, number, number, number, number, number, number, number, boolean];

/**
 * A flow as the numbers that cross into the core. Absent are: NaN for a duration, 2 for an edge, 0 for a conflation.
 *
 * @throws {@link TidegateError} with code `bad_option`.
 * @internal
 */
export function flowNumbers(flow: FlowSpec = {}): FlowNumbers {
  const {
    by_frames = false,
    throttle_ms,
    debounce_ms,
    max_wait_ms,
    leading,
    trailing,
    conflate,
    max = Number.NaN,
    delta = false,
  } = flow;
  const given = (number = Number.NaN): number => number;
  const edge = (isOn: boolean | undefined): number => (isOn === undefined ? 2 : Number(isOn));
  const conflation = conflate === undefined ? 0 : CONFLATIONS.indexOf(conflate) + 1;
  if (conflate !== undefined && conflation === 0) {
    throw badOption('conflate', conflate, `one of ${CONFLATIONS.join()}`);
  }
  return [
    by_frames,
    given(throttle_ms),
    given(debounce_ms),
    given(max_wait_ms),
    edge(leading),
    edge(trailing),
    conflation,
    max,
    delta,
  ];
}

/** What `end` may be: a reason, or `'none'`, whatever the data looks like. */
const ENDS: readonly NonNullable<PublishOptions['end']>[] = ['complete', 'failed', 'cancelled', 'none'];

/**
 * `end` as the number that crosses into the core: 0 if it is absent.
 *
 * @internal
 */
export function endCode(end: PublishOptions['end']): number {
  return end === undefined ? 0 : ENDS.indexOf(end) + 1;
}

/**
 * The same for an `end` that the application gave.
 *
 * @throws {@link TidegateError} with code `bad_option`, if it is not one of {@link PublishOptions.end}.
 * @internal
 */
export function givenEndCode(end: PublishOptions['end']): number {
  const code = endCode(end);
  if (code === 0 && (end ?? undefined) !== undefined) {
    throw badOption('end', end, `one of ${ENDS.join()}`);
  }
  return code;
}

/**
 * The end reason that a number from the core stands for.
 *
 * @internal
 */
export function endReason(code: number): EndReason | undefined {
  return ENDS[code - 1] as EndReason | undefined;
}
