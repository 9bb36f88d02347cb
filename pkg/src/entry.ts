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
  /** Called when the handler of a durable subscription has dealt with an update. */
  handled: ((update: Update) => void) | undefined;
  /** Whether the handler gets arrays. */
  collects: boolean;
  /** What makes one update of a batch, where its subscriber does that. */
  reduce: Reducer | undefined;
  flow: FlowSpec | undefined;
  /** After which positions it goes on, once another machine has taken over: what it subscribed with no longer counts. */
  since: readonly TopicPosition[] | undefined;
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
  // What each update needs comes first: the rest may then lie beyond what the processor reads at once.
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

/** Refuses what is of no use to the core, or would only be found out once the subscription lives. */
function checkOptions({ since, signal }: AnyOptions): void {
  for (const position of sincePositions(since) ?? []) {
    const { topic, epoch, offset } = position ?? {};
    if (typeof topic !== 'string' || !isCount(epoch) || !isCount(offset)) {
      throw badOption('since', JSON.stringify(position), 'positions: { topic, epoch, offset }');
    }
  }
  checkSignal(signal);
}

/** The positions to resume after; none, where a subscription does not resume. */
function sincePositions(since: SubscribeOptions['since']): readonly TopicPosition[] | undefined {
  const given = since ?? undefined;
  return given && ([given].flat() as readonly TopicPosition[]);
}

/**
 * Its subscriber wants another flow from now on.
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
 * Calls its handler, while it is active. What is dealt with by that is `due`, or what it was made of.
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

/** What its handler was called with is dealt with, now or once the promise that it has returned resolves. */
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

/** Where a subscription starts, as the core numbers it. */
const Start = { Latest: 0, New: 1, Since: 2 } as const;

/**
 * Tells the core of a flow, for the call that follows.
 *
 * @internal
 */
export function stageFlow(core: Core, flow: FlowSpec | undefined): void {
  core.calls.stage_flow(...flowNumbers(flow));
}

/**
 * Tells the core of a flow and of positions, for the call that follows.
 *
 * @internal
 */
export function stagePositions(
  core: Core,
  flow: FlowSpec | undefined,
  positions: readonly TopicPosition[],
): void {
  stageFlow(core, flow);
  // What is staged is the topic itself: the number may be given up for that of the next one.
  for (const { topic, epoch, offset } of positions) {
    core.calls.stage_position(core.topicNumber(topic), epoch, offset);
  }
}

/**
 * Tells the core of the name of a durable subscription, if it has one, for the call that follows.
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
 * Tells the core what becomes of updates while the connection is behind, if that is said, for the call that follows.
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
 * Tells the core how a subscription is paced and where it resumes, for the call that follows; returns where it starts.
 *
 * @throws {@link TidegateError} with code `bad_topic`, if it resumes what is no topic.
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
