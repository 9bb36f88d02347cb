/** Publishes that wait for their answer. */

import { TidegateError } from './errors.js';
import type { Position } from './types.js';

/** @internal */
export interface Request {
  resolve(position: Position): void;
  reject(error: TidegateError): void;
}

/** @internal */
export interface Waiting {
  /** Publishes it. */
  readonly publish: () => void;
  readonly request: Request;
  /**
   * The idempotency key that the core had chosen. It is used if another core repeats the publish, which may have taken
   * place already.
   */
  key?: string;
}

/**
 * The requests by the core's numbers. Their answers are queued, in order with the deliveries to handlers.
 *
 * @internal
 */
export class Requests {
  readonly #waiting = new Map<number, Waiting>();
  readonly #queue: (task: () => void) => void;

  constructor(queue: (task: () => void) => void) {
    this.#queue = queue;
  }

  add(number: number, waiting: Waiting): void {
    this.#waiting.set(number, waiting);
  }

  get areWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  resolve(number: number, position: Position): void {
    this.#answer(number, (request) => request.resolve(position));
  }

  reject(number: number, error: TidegateError): void {
    this.#answer(number, (request) => request.reject(error));
  }

  #answer(number: number, answer: (request: Request) => void): void {
    const waiting = this.#waiting.get(number);
    if (waiting !== undefined) {
      this.#waiting.delete(number);
      this.#queue(() => answer(waiting.request));
    }
  }

  /** Notes the key of a request, in case another core repeats it. */
  noteKey(number: number, key: string): void {
    const waiting = this.#waiting.get(number);
    if (waiting !== undefined) {
      waiting.key = key;
    }
  }

  /** Removes and returns all requests, which will get other numbers. */
  takeAll(): Waiting[] {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    return waiting;
  }

  rejectAll(error: TidegateError): void {
    for (const number of [...this.#waiting.keys()]) {
      this.reject(number, error);
    }
  }
}

/**
 * A promise for the answer to the request that `ask` makes. It is rejected by the signal and by what `ask` throws. A
 * rejection that nobody awaits is not an unhandled one, which would end a Node program.
 *
 * @internal
 */
export function answerTo(
  signal: AbortSignal | null | undefined,
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
