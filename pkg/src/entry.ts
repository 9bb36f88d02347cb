/** One subscription, from the call that made it to its end. */

import type { Core } from './core.js';
import { badOption, report, TidegateError } from './errors.js';
import { checkSignal, type FlowSpec, flowNumbers, flowSpec, isCount, topicText } from './options.js';
import type {
  CollectFlowOptions,
  CollectOptions,
  FlowOptions,
  Reducer,
  Slow,
  SubscribeOptions,
  TopicPosition,
  Update,
} from './types.js';

/**
 * Not known to the core: not yet, or no longer.
 *
 * @internal
 */
export const DETACHED = -1;

/** @internal */
export type Handler = (due: never) => unknown;

/** @internal */
export type AnyFlow = FlowOptions | CollectFlowOptions;

/** @internal */
export type AnyOptions = SubscribeOptions | CollectOptions;

/** @internal */
export interface Entry {
  readonly pattern: string;
  readonly handler: Handler;
  readonly options: AnyOptions;
  /** Called when all subscriptions are shut down. */
  readonly onClosed: (() => void) | undefined;
  /** Called when the handler of a durable subscription has processed an update. */
  handled: ((update: Update) => void) | undefined;
  /** Whether the handler gets arrays. */
  collects: boolean;
  /** The subscriber's own function that combines a batch, if it has one. */
  reduce: Reducer | undefined;
  flow: FlowSpec | undefined;
  /**
   * The positions after which it resumes on a machine that has taken over. They replace those that it subscribed with.
   */
  since: readonly TopicPosition[] | undefined;
  /** The core's number for this subscription. */
  number: number;
  /** Whether its handler may still be called. */
  active: boolean;
  /** The parts of a batch that is being read. */
  parts: Update[];
  /** The listener of its signal. */
  abort: (() => void) | undefined;
}

/**
 * A subscription that the core doesn't know yet.
 *
 * @throws {@link TidegateError} with code `bad_topic` or `bad_option`.
 * @internal
 */
export function newEntry(
  pattern: string,
  options: AnyOptions,
  handler: Handler,
  onClosed: (() => void) | undefined,
): Entry {
  topicText(pattern);
  checkOptions(options);
  const flow = flowSpec(options);
  if ((options.durable ?? options.slow) !== undefined && flow?.by_frames) {
    throw new TidegateError(
      'bad_option',
      'durable and slow are not for what is paced by frames, which shows the newest',
    );
  }
  // The fields that every update needs come first, so that they share a cache line.
  const entry: Entry = {
    handler,
    active: true,
    collects: false,
    handled: undefined,
    pattern,
    options,
    onClosed,
    reduce: undefined,
    flow: undefined,
    since: undefined,
    number: DETACHED,
    parts: [],
    abort: undefined,
  };
  setFlow(entry, options, flow);
  return entry;
}

/**
 * Refuses options that the core can't take, and those whose mistake would otherwise only show once the subscription is
 * live.
 */
function checkOptions({ since, signal }: AnyOptions): void {
  for (const position of sincePositions(since) ?? []) {
    const { topic, epoch, offset } = position ?? {};
    if (typeof topic !== 'string' || !isCount(epoch) || !isCount(offset)) {
      throw badOption('since', JSON.stringify(position), 'positions: { topic, epoch, offset }');
    }
  }
  checkSignal(signal);
}

/** The positions to resume after; undefined if the subscription does not resume. */
function sincePositions(since: SubscribeOptions['since']): readonly TopicPosition[] | undefined {
  const given = since ?? undefined;
  return given && ([given].flat() as readonly TopicPosition[]);
}

/**
 * Changes the flow of a subscription.
 *
 * @internal
 */
export function setFlow(
  entry: Entry,
  { conflate }: FlowOptions | CollectFlowOptions,
  spec: FlowSpec | undefined,
): void {
  entry.flow = spec;
  entry.collects = typeof conflate === 'object';
  entry.reduce = typeof conflate === 'function' ? conflate : undefined;
}

/**
 * Calls the handler, if the subscription is active. The call processes `madeOf`: the updates that were combined into
 * `due`, or `due` itself.
 *
 * @internal
 */
export function handle(entry: Entry, due: unknown, madeOf: unknown = due): void {
  if (!entry.active) {
    return;
  }
  const { handler } = entry;
  const result: unknown = handler(due as never);
  if (entry.handled !== undefined) {
    acknowledge(entry, madeOf as Update | readonly Update[], result);
  }
}

/** Notes that the handler has processed `due`: now, or once the promise that it returned resolves. */
function acknowledge(entry: Entry, due: Update | readonly Update[], result: unknown): void {
  const handled = (): void => {
    for (const update of Array.isArray(due) ? due : [due]) {
      entry.handled!(update);
    }
  };
  if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
    (result as PromiseLike<unknown>).then(handled, report);
  } else {
    handled();
  }
}

/**
 * Tells the subscriber of the error that ended the subscription.
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

/** Where a subscription starts, in the core's numbering. */
const Start = { Latest: 0, New: 1, Since: 2 } as const;

/**
 * Stages a flow for the next call into the core.
 *
 * @internal
 */
export function stageFlow(core: Core, flow: FlowSpec | undefined): void {
  core.calls.stage_flow(...flowNumbers(flow));
}

/**
 * Stages a flow and positions for the next call into the core.
 *
 * @internal
 */
export function stagePositions(
  core: Core,
  flow: FlowSpec | undefined,
  positions: readonly TopicPosition[],
): void {
  stageFlow(core, flow);
  // The core stages the topic itself, not its number: looking up the number of the next topic may free this one.
  for (const { topic, epoch, offset } of positions) {
    core.calls.stage_position(core.topicNumber(topic), epoch, offset);
  }
}

/**
 * Stages the name of a durable subscription, if there is one, for the next call into the core.
 *
 * @throws {@link TidegateError} with code `bad_option`, if it is no name.
 * @internal
 */
export function stageDurable(core: Core, name: string | undefined): void {
  if (name !== undefined && (typeof name !== 'string' || core.calls.stage_durable(core.text(name)) === 0)) {
    throw new TidegateError(
      'bad_option',
      `durable is ${JSON.stringify(name)}: it must have 1 to 128 bytes without control characters`,
    );
  }
}

const SLOW: readonly unknown[] = ['conflate', 'drop', 'disconnect'];

/**
 * Stages the policy for a slow connection, if there is one, for the next call into the core.
 *
 * @throws {@link TidegateError} with code `bad_option`.
 * @internal
 */
export function stageSlow(core: Core, slow: Slow | undefined): void {
  if (slow !== undefined) {
    const number = SLOW.indexOf(slow) + 1;
    if (number === 0) {
      throw badOption('slow', slow, `one of ${SLOW.join()}`);
    }
    core.calls.stage_slow(number);
  }
}

/**
 * Stages all options of a subscription for the next call into the core; returns where it starts.
 *
 * @throws {@link TidegateError} with code `bad_topic`, if a position to resume from doesn't name a topic.
 * @internal
 */
export function stageEntry(core: Core, entry: Entry): number {
  const { since, latest, durable, slow } = entry.options;
  const positions = entry.since ?? sincePositions(since);
  stagePositions(core, entry.flow, positions ?? []);
  stageDurable(core, durable);
  stageSlow(core, slow);
  if (positions !== undefined) {
    return Start.Since;
  }
  return latest === false ? Start.New : Start.Latest;
}
