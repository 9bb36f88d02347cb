/** One subscription, from the call that made it to its end. */

import { report, type TidegateError } from './errors.js';
import { type FlowSpec, flowSpec } from './options.js';
import type { SubscribeOptions, TopicPosition, Update } from './types.js';

/**
 * Not known to the core: not yet, or no longer.
 *
 * @internal
 */
export const DETACHED = -1;

/** @internal */
export type Handler = (due: never) => void;

/** @internal */
export interface Entry {
  readonly pattern: string;
  readonly handler: Handler;
  readonly options: SubscribeOptions;
  /** Called when all subscriptions are shut down. */
  readonly onClosed: (() => void) | undefined;
  /** Whether the handler gets arrays. */
  collects: boolean;
  flow: FlowSpec | undefined;
  /** The core's number for it. */
  number: number;
  /** Whether anything of it may still be handed over. */
  active: boolean;
  /** The parts of a batch that is being read. */
  parts: Update[];
  /** What its signal calls. */
  abort: (() => void) | undefined;
}

/**
 * A subscription that nobody has made known to the core yet.
 *
 * @throws {@link TidegateError} with code `bad_option`.
 * @internal
 */
export function newEntry(
  pattern: string,
  options: SubscribeOptions,
  handler: Handler,
  onClosed: (() => void) | undefined,
): Entry {
  return {
    pattern,
    handler,
    options,
    onClosed,
    collects: typeof options.conflate === 'object',
    flow: flowSpec(options),
    number: DETACHED,
    active: true,
    parts: [],
    abort: undefined,
  };
}

/**
 * Calls its handler, while it is active.
 *
 * @internal
 */
export function handle(entry: Entry, due: unknown): void {
  if (entry.active) {
    entry.handler(due as never);
  }
}

/**
 * Tells its subscriber of the error that ended it.
 *
 * @internal
 */
export function fail(entry: Entry, error: TidegateError): void {
  if (entry.options.onError === undefined) {
    report(error);
  } else {
    entry.options.onError(error);
  }
}

interface SubscribeSpec {
  flow?: FlowSpec;
  since?: readonly TopicPosition[];
  latest?: boolean;
}

/**
 * What the core is told of it.
 *
 * @internal
 */
export function subscribeSpec(entry: Entry): SubscribeSpec | undefined {
  const spec: SubscribeSpec = {};
  const { since, latest } = entry.options;
  if (entry.flow !== undefined) {
    spec.flow = entry.flow;
  }
  if (since !== undefined) {
    spec.since = (Array.isArray(since) ? since : [since]).map(({ topic, epoch, offset }) => ({
      topic,
      epoch,
      offset,
    }));
  }
  if (latest !== undefined) {
    spec.latest = latest;
  }
  return Object.keys(spec).length === 0 ? undefined : spec;
}
