/** The core's JSON notes about subscriptions. */

import type { PlainError } from './errors.js';
import type { TopicPosition } from './types.js';

/** @internal */
export interface ResetNote {
  readonly note: 'reset';
  readonly subscription: number;
  readonly topic: string;
  readonly epoch: number;
  readonly offset: number;
}

/** @internal */
export interface RefusedNote {
  readonly note: 'refused';
  readonly subscription: number;
  readonly error: PlainError;
}

/**
 * Another machine takes over. The subscription resumes there, after these positions.
 *
 * @internal
 */
export interface SinceNote {
  readonly note: 'since';
  readonly subscription: number;
  readonly since: readonly TopicPosition[];
}

/** @internal */
export type SubscriptionNote = ResetNote | RefusedNote | SinceNote;
