'use client';

/**
 * Topics and connections as React state.
 *
 * ```tsx
 * const { data, status } = useTopic<Job>('job:42', { throttle: '200ms' });
 * const jobs = useTopics<Job>('job:*', { throttle: '1s' });
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
  useMemo,
  useSyncExternalStore,
} from 'react';

import { TidegateError } from './errors.js';
import { type PresenceState, PresenceStore } from './react/presence-store.js';
import { type ProgressState, progressState, type UseProgressOptions } from './react/progress-state.js';
import { type TopicState, TopicStore } from './react/topic-store.js';
import { type TopicStates, TopicsStore } from './react/topics-store.js';
import { type UseSubscriptionOptions, useSubscribed } from './react/use-subscribed.js';
import type { Tide, TideState } from './tide-types.js';
import type { Subscriber } from './types.js';

export type { Work } from './progress/work.js';
export type { WorkNouns, WorkTexts, WorkWords } from './progress/work-text.js';
export type { PresenceState } from './react/presence-store.js';
export type { ProgressState, UseProgressOptions } from './react/progress-state.js';
export type { TopicState } from './react/topic-store.js';
export type { TopicStates } from './react/topics-store.js';
export type { UseSubscriptionOptions } from './react/use-subscribed.js';

const TideContext = createContext<Tide | null | undefined>(undefined);

/** The props of {@link TideProvider}. */
export interface TideProviderProps {
  /** The connection for all components below; `null` if there is none, as on a server. */
  readonly tide: Tide | null;
  readonly children?: ReactNode;
}

/**
 * Provides a connection to all components below, so that their hooks need not name it. Closing it remains up to you.
 */
export const TideProvider: FunctionComponent<TideProviderProps> = ({ tide, children }) =>
  createElement(TideContext.Provider, { value: tide }, children);

/**
 * The connection of the nearest {@link TideProvider}, for what no hook does, such as publishing. `null` if the provider
 * has none, as on a server.
 */
export function useTide(): Tide | null {
  return required(useContext(TideContext), 'useTide');
}

/** Options of {@link useTopic}. They are compared by content, so you can pass an object literal. */
export interface UseTopicOptions<T = unknown> extends UseSubscriptionOptions<T> {
  /** The data until the first update arrives, and on a server. Only that of the first rendering counts. */
  readonly initial?: T | undefined;
}

/** Options of {@link useTopics}. They are compared by content, so you can pass an object literal. */
export interface UseTopicsOptions<T = unknown> extends UseSubscriptionOptions<T> {
  /** The data of topics until an update of each arrives, and on a server. Only that of the first rendering counts. */
  readonly initial?: Readonly<Record<string, T>> | undefined;
  /**
   * The number of topics to keep. Beyond that, one that has ended is forgotten, or else the one that has been silent
   * for longest. Default: 1,000.
   */
  readonly keep?: number | undefined;
}

/**
 * The newest update of a topic, and its status. The component is rendered again when an update arrives, as often as
 * `throttle` or `debounce` allow, and when the status changes.
 *
 * With wildcards, this is the newest update of any matching topic; {@link useTopics} has one for each. Errors appear as
 * the status `failed`, not as exceptions. Once the server has forgotten the topic, the status is `waiting` again, unless
 * the topic has ended. Without `tide`, the connection of the nearest {@link TideProvider} is used; if `tide` or the
 * pattern is `null`, the status stays `waiting`.
 *
 * @throws {@link TidegateError} with code `bad_option`, if there is neither a `tide` nor a provider.
 */
export function useTopic<T = unknown>(
  tide: Subscriber | null,
  pattern: string | null,
  options?: UseTopicOptions<T>,
): TopicState<T>;
export function useTopic<T = unknown>(pattern: string | null, options?: UseTopicOptions<T>): TopicState<T>;
export function useTopic<T>(
  first: Subscriber | string | null,
  second?: string | null | UseTopicOptions<T>,
  third?: UseTopicOptions<T>,
): TopicState<T> {
  const [from, pattern, options = {}] = useGiven('useTopic', first, second, third);
  return useSubscribed(from, pattern, options, (pace) => new TopicStore<T>(from, pattern, options, pace));
}

/**
 * The newest update of each topic that matches a pattern, and its status, by topic, in the order in which the topics
 * were first seen. The map stays the same until something changes. `throttle` and `debounce` are the
 * pace of each topic; the component is rendered at most once per frame for all topics, except for topics that end.
 *
 * A topic that has ended stays, as `ended`. Any other disappears once the server has forgotten it. If the subscription
 * fails, every topic that has not ended becomes `failed`, and an entry with the pattern as its name is added.
 * Everything else is as in {@link useTopic}.
 */
export function useTopics<T = unknown>(
  tide: Subscriber | null,
  pattern: string | null,
  options?: UseTopicsOptions<T>,
): TopicStates<T>;
export function useTopics<T = unknown>(pattern: string | null, options?: UseTopicsOptions<T>): TopicStates<T>;
export function useTopics<T>(
  first: Subscriber | string | null,
  second?: string | null | UseTopicsOptions<T>,
  third?: UseTopicsOptions<T>,
): TopicStates<T> {
  const [from, pattern, options = {}] = useGiven('useTopics', first, second, third);
  return useSubscribed(from, pattern, options, (pace) => new TopicsStore<T>(from, pattern, options, pace));
}

/**
 * The progress of a piece of work that many do together, in numbers and in texts: servers publish it to a topic such as
 * `task:7:progress`.
 *
 * Errors appear as the status `failed`, not as exceptions. Without `tide`, the connection of the nearest
 * {@link TideProvider} is used; if `tide` or the topic is `null`, the status stays `waiting`.
 *
 * @throws {@link TidegateError} with code `bad_option`, if there is neither a `tide` nor a provider.
 */
export function useProgress(
  tide: Subscriber | null,
  topic: string | null,
  options?: UseProgressOptions,
): ProgressState;
export function useProgress(topic: string | null, options?: UseProgressOptions): ProgressState;
export function useProgress(
  first: Subscriber | string | null,
  second?: string | null | UseProgressOptions,
  third?: UseProgressOptions,
): ProgressState {
  const [from, topic, options = {}] = useGiven('useProgress', first, second, third);
  const { throttle = '200ms', nouns, words, language } = options;
  const state = useTopic(from, topic, { throttle });
  return useMemo(() => progressState(state, options), [state, JSON.stringify(nouns), words, language]);
}

/**
 * Who is present in a topic, and whether that is up to date. The component is rendered again when somebody joins,
 * leaves, or changes their meta.
 *
 * Errors appear as the status `failed`, not as exceptions. Without `tide`, the connection of the nearest
 * {@link TideProvider} is used; if `tide` or the topic is `null`, the status stays `waiting`.
 *
 * @throws {@link TidegateError} with code `bad_option`, if there is neither a `tide` nor a provider.
 */
export function usePresence<T = unknown>(tide: Tide | null, topic: string | null): PresenceState<T>;
export function usePresence<T = unknown>(topic: string | null): PresenceState<T>;
export function usePresence<T>(first: Tide | string | null, second?: string | null): PresenceState<T> {
  const [from, topic] = useGiven<Tide, never>('usePresence', first, second);
  const store = useMemo(() => new PresenceStore<T>(from, topic), [from, topic]);
  return useSyncExternalStore(store.subscribe, store.state, store.firstState);
}

/** The state that a server renders, and the browser before hydration. */
const UNKNOWN: TideState = { status: 'connecting', attempt: 0 };

const unknown = (): TideState => UNKNOWN;
const nothingToFollow = (): (() => void) => () => {};

/**
 * The state of a connection: `tide`, or that of the nearest {@link TideProvider}. If there is none (`null`), the state
 * is `connecting`.
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

/**
 * Sorts out the arguments of a hook: the connection (the provided one, if absent), the topic or pattern, and the
 * options.
 */
function useGiven<From, Options extends object>(
  hook: string,
  first: From | string | null,
  second: string | null | Options | undefined,
  third?: Options,
): [from: From | null, pattern: string | null, options?: Options | undefined] {
  const provided = useContext(TideContext);
  // An object is always the connection, even if the pattern after it is undefined by mistake.
  const isNamed = typeof second === 'string' || second === null || typeof (first ?? '') === 'object';
  return isNamed
    ? [first as From | null, second as string | null, third]
    : [required(provided, hook) as From | null, first as string | null, second];
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
