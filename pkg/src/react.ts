/**
 * Topics and connections as React state.
 *
 * ```tsx
 * const { data, status } = useTopic<Job>('job:42', { throttle: '200ms' });
 * const { work, texts } = useProgress('task:7:progress', { nouns: { verb: 'labeled' } });
 * ```
 *
 * @packageDocumentation
 */

import {
  createContext,
  createElement,
  type FunctionComponent,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from 'react';

import { TidegateError } from './errors.js';
import { type PresenceState, PresenceStore } from './react/presence-store.js';
import { type ProgressState, progressState, type UseProgressOptions } from './react/progress-state.js';
import { type TopicState, TopicStore } from './react/topic-store.js';
import type { Tide, TideState } from './tide-types.js';
import type { FlowOptions, Reducer, Subscriber, TopicPosition } from './types.js';

export type { Work } from './progress/work.js';
export type { WorkNouns, WorkTexts, WorkWords } from './progress/work-text.js';
export type { PresenceState } from './react/presence-store.js';
export type { ProgressState, UseProgressOptions } from './react/progress-state.js';
export type { TopicState } from './react/topic-store.js';

const TideContext = createContext<Tide | null | undefined>(undefined);

/** What {@link TideProvider} is given. */
export interface TideProviderProps {
  /** The connection of all components below; `null` where there is none, as on a server. */
  readonly tide: Tide | null;
  readonly children?: ReactNode;
}

/** Gives a connection to all components below, whose hooks then need not name it. It stays yours to close. */
export const TideProvider: FunctionComponent<TideProviderProps> = ({ tide, children }) =>
  createElement(TideContext.Provider, { value: tide }, children);

/** Options of {@link useTopic}. They are compared by their content: an object literal is fine. */
export interface UseTopicOptions<T = unknown> extends Omit<FlowOptions, 'conflate'> {
  /**
   * What becomes of updates that come faster than they are wanted. Default: `'latest'`. Of a function, that of the last
   * rendering is called.
   */
  readonly conflate?: 'latest' | 'merge' | 'sum' | Reducer<T>;
  /** Whether the topic's latest value is wanted first, if it has one. Default: true. */
  readonly latest?: boolean;
  /** Resume after these positions. */
  readonly since?: TopicPosition | readonly TopicPosition[];
  /** The data until the first update comes, and on a server. Only that of the first rendering counts. */
  readonly initial?: T;
}

/**
 * The newest update of a topic, and how things stand with it. The component is drawn again when an update comes, as
 * often as `throttle` or `debounce` allow, and when the state changes.
 *
 * On a pattern with wildcards it is the newest update of whichever topic. Nothing is thrown: what goes wrong is the
 * state `failed`. Without `tide`, the connection of the nearest {@link TideProvider} is taken; a `tide` or a pattern that is
 * `null` leaves the state at `waiting`.
 */
export function useTopic<T = unknown>(
  tide: Subscriber | null,
  pattern: string | null,
  options?: UseTopicOptions<T>,
): TopicState<T>;
export function useTopic<T = unknown>(pattern: string | null, options?: UseTopicOptions<T>): TopicState<T>;
export function useTopic<T>(
  tideOrPattern: Subscriber | string | null,
  patternOrOptions?: string | null | UseTopicOptions<T>,
  optionsAfterBoth?: UseTopicOptions<T>,
): TopicState<T> {
  const provided = useContext(TideContext);
  const isNamed = typeof patternOrOptions === 'string' || patternOrOptions === null;
  const from = isNamed ? (tideOrPattern as Subscriber | null) : required(provided, 'useTopic');
  const pattern = isNamed ? patternOrOptions : (tideOrPattern as string | null);
  const options = (isNamed ? optionsAfterBoth : patternOrOptions) ?? {};

  const { initial, latest, since, conflate, ...pace } = options;
  const reducer = useRef<Reducer<T> | undefined>(undefined);
  useEffect(() => {
    reducer.current = typeof conflate === 'function' ? conflate : reducer.current;
  });
  const reduce = (older: T, newer: T): T => reducer.current!(older, newer);
  const flow: FlowOptions = {
    ...pace,
    ...(conflate === undefined ? {} : { conflate: typeof conflate === 'function' ? reduce : conflate }),
  };
  const flowKey = JSON.stringify([
    flow.throttle,
    flow.debounce,
    flow.maxWait,
    flow.leading,
    flow.trailing,
    typeof conflate === 'function' ? 'reduce' : conflate,
    flow.delta,
  ]);
  // The key stands for what it was made from. Another flow is no other subscription: it is changed below, but for what
  // paces it.
  const sourceKey = JSON.stringify([latest, since, flow.throttle === 'frame']);
  const store = useMemo(
    () =>
      new TopicStore<T>(
        from,
        pattern,
        {
          ...(initial === undefined ? {} : { initial }),
          ...(latest === undefined ? {} : { latest }),
          ...(since === undefined ? {} : { since }),
        },
        flow,
        flowKey,
      ),
    [from, pattern, sourceKey],
  );
  useEffect(() => store.setFlow(flow, flowKey), [store, flowKey]);
  return useSyncExternalStore(store.subscribe, store.state, store.firstState);
}

/**
 * How far a piece of work has come that many do together, in numbers and in texts: what servers tell on the work's topic of
 * progress, such as `task:7:progress`.
 *
 * Nothing is thrown: what goes wrong is the state `failed`. Without `tide`, the connection of the nearest
 * {@link TideProvider} is taken; a `tide` or a topic that is `null` leaves the state at `waiting`.
 */
export function useProgress(
  tide: Subscriber | null,
  topic: string | null,
  options?: UseProgressOptions,
): ProgressState;
export function useProgress(topic: string | null, options?: UseProgressOptions): ProgressState;
export function useProgress(
  tideOrTopic: Subscriber | string | null,
  topicOrOptions?: string | null | UseProgressOptions,
  optionsAfterBoth?: UseProgressOptions,
): ProgressState {
  const isNamed = typeof topicOrOptions === 'string' || topicOrOptions === null;
  const options = (isNamed ? optionsAfterBoth : topicOrOptions) ?? {};
  const provided = useContext(TideContext);
  const from = isNamed ? (tideOrTopic as Subscriber | null) : required(provided, 'useProgress');
  const topic = isNamed ? topicOrOptions : (tideOrTopic as string | null);
  const { throttle = '200ms', nouns, words, language } = options;
  const state = useTopic(from, topic, { throttle });
  return useMemo(() => progressState(state, options), [state, JSON.stringify(nouns), words, language]);
}

/**
 * Who is present in a topic, and how things stand with that. The component is drawn again when somebody comes, goes or
 * says something else of themselves.
 *
 * Nothing is thrown: what goes wrong is the state `failed`. Without `tide`, the connection of the nearest
 * {@link TideProvider} is taken; a `tide` or a topic that is `null` leaves the state at `waiting`.
 */
export function usePresence<T = unknown>(tide: Tide | null, topic: string | null): PresenceState<T>;
export function usePresence<T = unknown>(topic: string | null): PresenceState<T>;
export function usePresence<T>(
  tideOrTopic: Tide | string | null,
  topicAfterTide?: string | null,
): PresenceState<T> {
  const provided = useContext(TideContext);
  const isNamed = topicAfterTide !== undefined;
  const from = isNamed ? (tideOrTopic as Tide | null) : required(provided, 'usePresence');
  const topic = isNamed ? topicAfterTide : (tideOrTopic as string | null);
  const store = useMemo(() => new PresenceStore<T>(from, topic), [from, topic]);
  return useSyncExternalStore(store.subscribe, store.state, store.firstState);
}

/** What a server renders of a connection, and the browser before it has taken over. */
const UNKNOWN: TideState = { status: 'connecting', attempt: 0 };

const unknown = (): TideState => UNKNOWN;
const nothingToFollow = (): (() => void) => () => {};

/**
 * The state of a connection: that of `tide`, or of the nearest {@link TideProvider}. While that is `null`, it is
 * `connecting`.
 */
export function useConnection(tide?: Tide | null): TideState {
  const provided = useContext(TideContext);
  const from = tide === undefined ? required(provided, 'useConnection') : tide;
  const follow = useMemo(
    () => (from === null ? nothingToFollow : (listener: () => void) => from.on('state', listener)),
    [from],
  );
  return useSyncExternalStore(follow, from === null ? unknown : () => from.state, unknown);
}

function required(tide: Tide | null | undefined, hook: string): Tide | null {
  if (tide === undefined) {
    throw new TidegateError(
      'bad_option',
      `${hook} has no connection: name one, or render this component below <TideProvider tide={…}>`,
    );
  }
  return tide;
}
