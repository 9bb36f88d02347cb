/** The core's JSON notes about a connection. */

import { type PlainError, typedError } from './errors.js';
import type { TideState } from './tide-types.js';

/** @internal */
export interface StateNote {
  readonly note: 'state';
  readonly state: TideState['status'];
  readonly attempt?: number;
  readonly error?: PlainError;
}

/** @internal */
export interface FailedNote {
  readonly note: 'failed';
  readonly request: number;
  readonly error: PlainError;
}

/**
 * Another core takes over. If it repeats this publish, it must use this idempotency key.
 *
 * @internal
 */
export interface KeyNote {
  readonly note: 'key';
  readonly request: number;
  readonly id: string;
}

/**
 * The core needs a token.
 *
 * @internal
 */
export interface TokenNote {
  readonly note: 'token';
  readonly request: number;
}

/**
 * The state that a note describes.
 *
 * @internal
 */
export function stateOf(note: StateNote): TideState {
  switch (note.state) {
    case 'connecting':
      return { status: 'connecting', attempt: note.attempt ?? 0 };
    case 'closed':
      return note.error === undefined
        ? { status: 'closed' }
        : { status: 'closed', error: typedError(note.error) };
    default:
      return { status: note.state };
  }
}
