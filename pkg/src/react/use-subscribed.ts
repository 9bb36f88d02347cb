/** Makes the store of a subscription React state. The pace may change from one rendering to the next. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';

import type { FlowOptions, Reducer, Subscriber, TopicPosition } from '../types.js';
import type { Pace, Subscribed } from './subscribed.js';

/** Options of a hook that subscribes. They are compared by content, so you can pass an object literal. */
export interface UseSubscriptionOptions<T = unknown> extends Omit<FlowOptions, 'conflate'> {
  /**
   * What happens to updates that arrive faster than they are wanted. Default: `'latest'`. If it is a function, the one
   * of the last rendering is called.
   */
  readonly conflate?: 'latest' | 'merge' | 'sum' | Reducer<T> | undefined;
  /** Whether to start with the latest value of a topic, if it has one. Default: true. */
  readonly latest?: boolean | undefined;
  /** Resumes after these positions. */
  readonly since?: TopicPosition | readonly TopicPosition[] | null | undefined;
}

/**
 * The state of the store that `make` makes. Another subscriber, another pattern, or a change of options other than the
 * pace makes a new store.
 *
 * @internal
 */
export function useSubscribed<T, State>(
  from: Subscriber | null,
  pattern: string | null,
  options: UseSubscriptionOptions<T> & { readonly keep?: number | undefined },
  make: (pace: Pace) => Subscribed<T, State>,
): State {
  const { throttle, debounce, maxWait, leading, trailing, conflate, delta, latest, since, keep } = options;
  const isReducer = typeof conflate === 'function';
  const reducer = useRef<Reducer<T> | undefined>(undefined);
  useEffect(() => {
    reducer.current = isReducer ? conflate : reducer.current;
  });
  const reduce = (older: T, newer: T): T => reducer.current!(older, newer);
  const plain = { throttle, debounce, maxWait, leading, trailing, delta };
  const pace = {
    flow: { ...plain, conflate: isReducer ? reduce : conflate } as FlowOptions,
    key: JSON.stringify([plain, isReducer ? 'reduce' : conflate]),
  };
  // The key stands for the options that a live subscription can't change. A flow can be changed, below, except between
  // frames and other paces.
  const sourceKey = JSON.stringify([latest, since, keep, throttle === 'frame']);
  const store = useMemo(() => make(pace), [from, pattern, sourceKey]);
  useEffect(() => store.setPace(pace), [store, pace.key]);
  return useSyncExternalStore(store.subscribe, store.state, store.firstState);
}
