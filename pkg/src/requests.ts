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
  /** By which key the core has told another one to publish it, where it was given none: it may have taken place already. */
  key?: string;
}

/**
 * The requests that the core has under its numbers. Their answers are queued with what else is handed over.
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

  /** The key of one, for whoever publishes it once more. */
  noteKey(number: number, key: string): void {
    const waiting = this.#waiting.get(number);
    if (waiting !== undefined) {
      waiting.key = key;
    }
  }

  /** Those that wait, which will be known by other numbers. */
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
 * A promise of the answer to what `ask` asks for. What `ask` throws rejects it, and so does the signal. Whoever awaits it is
 * told; whoever does not must not see the program end for it.
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
