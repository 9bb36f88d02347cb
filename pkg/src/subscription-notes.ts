/** What the core tells in words of subscriptions. */

import type { PlainError } from './errors.js';

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

/** @internal */
export type SubscriptionNote = ResetNote | RefusedNote;
