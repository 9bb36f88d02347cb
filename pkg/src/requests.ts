/** Publishes that wait for their answer. */

import { TidegateError } from './errors.js';
import type { Position } from './types.js';

/** @internal */
export interface Request {
  resolve(position: Position): void;
  reject(error: TidegateError): void;
}

/**
 * A promise of the answer to what `ask` asks for. What `ask` throws rejects it, and so does the signal. Whoever awaits it is
 * told; whoever does not must not see the program end for it.
 *
 * @internal
 */
export function answerTo(
  signal: AbortSignal | undefined,
  ask: (request: Request) => void,
): Promise<Position> {
  const answer = new Promise<Position>((resolve, reject) => {
    if (signal?.aborted) {
      throw aborted(signal);
    }
    const abort = (): void => reject(aborted(signal!));
    const settled = (): void => signal?.removeEventListener('abort', abort);
    const request: Request = {
      resolve: (position) => {
        settled();
        resolve(position);
      },
      reject: (error) => {
        settled();
        reject(error);
      },
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      ask(request);
    } catch (error) {
      settled();
      throw error;
    }
  });
  answer.catch(() => {});
  return answer;
}

function aborted(signal: AbortSignal): TidegateError {
  return new TidegateError('aborted', 'the publish was given up', { cause: signal.reason });
}
