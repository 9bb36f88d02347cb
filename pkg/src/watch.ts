import { asyncDispose } from './dispose.js';
import { badOption, report, TidegateError } from './errors.js';
import { checkSignal } from './options.js';
import type { CollectWatchOptions, Overflow, Subscription, Update, Updates, WatchOptions } from './types.js';

/**
 * The default of `buffer`. All updates that arrive within one task wait, however fast the loop is: this must be more
 * than a server sends at once, or a reconnect would cost the loop updates.
 */
const BUFFER_DEFAULT = 10_000;

/** What an iterator yields: one update, or the updates of one emission. */
type Item = Update | readonly Update[];

/**
 * What a {@link Watch} gives the subscription that feeds it.
 *
 * @internal
 */
export interface WatchSink {
  item(item: Item): void;
  ended(): void;
  failed(error: Error): void;
}

interface Waiter {
  resolve(result: IteratorResult<Item, undefined>): void;
  reject(error: Error): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

function isTerminal(item: Item): boolean {
  const last = Array.isArray(item) ? item.at(-1) : (item as Update);
  return last?.end !== undefined;
}

/**
 * An async iterator over a subscription, with a bounded buffer between them.
 *
 * It is idle until the first `next()`, then subscribed, then finished: by the end of its topic, by an error, by its
 * signal or by `return()`. Updates that are buffered when the topic ends or the connection is closed are still
 * delivered; after the signal or `return()` they are not. Dropped updates are reported by the next `next()`, all at
 * once.
 *
 * @internal
 */
export class Watch implements Updates<Item> {
  readonly #open: (sink: WatchSink) => Subscription;
  readonly #bufferMax: number;
  readonly #overflow: Overflow;
  readonly #signal: AbortSignal | null | undefined;
  readonly #onLagged: WatchOptions['onLagged'];
  readonly #buffer: Item[] = [];
  /** How many updates found no room since the last `next()`. */
  #missed = 0;
  readonly #waiters: Waiter[] = [];
  #subscription: Subscription | undefined;
  #state: 'idle' | 'subscribed' | 'finished' = 'idle';
  #error: Error | undefined;

  constructor(open: (sink: WatchSink) => Subscription, options: WatchOptions | CollectWatchOptions) {
    const buffer = options.buffer ?? BUFFER_DEFAULT;
    if (!Number.isInteger(buffer) || buffer < 1) {
      throw new TidegateError('bad_option', `buffer is ${buffer}: it must be a whole number of at least 1`);
    }
    const { signal } = options;
    const overflow = options.overflow ?? 'latest';
    if (!['latest', 'drop-oldest', 'error'].includes(overflow)) {
      throw badOption('overflow', overflow, "'latest', 'drop-oldest' or 'error'");
    }
    checkSignal(signal);
    this.#open = open;
    this.#bufferMax = buffer;
    this.#overflow = overflow;
    this.#signal = signal;
    this.#onLagged = options.onLagged;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    this.#start();
    this.#reportMissed();
    const item = this.#buffer.shift();
    if (item !== undefined) {
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#state === 'finished') {
      return Promise.resolve(DONE);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<Item, undefined>> {
    this.#stop();
    return Promise.resolve(DONE);
  }

  throw(error: unknown): Promise<IteratorResult<Item, undefined>> {
    this.return();
    return Promise.reject(error);
  }

  async [asyncDispose](): Promise<void> {
    await this.return();
  }

  #start(): void {
    if (this.#state !== 'idle') {
      return;
    }
    if (this.#signal?.aborted) {
      this.#state = 'finished';
      return;
    }
    this.#state = 'subscribed';
    this.#signal?.addEventListener('abort', this.#stop);
    try {
      const subscription = this.#open({
        item: (item) => this.#take(item),
        ended: () => this.#finish(),
        failed: (error) => this.#fail(error),
      });
      this.#subscription = subscription;
    } catch (error) {
      this.#fail(error as Error);
    }
    this.#unsubscribeIfFinished();
  }

  /** The reader wants nothing more, so the buffer is dropped, too. */
  readonly #stop = (): void => {
    this.#buffer.length = 0;
    this.#missed = 0;
    this.#error = undefined;
    this.#finish();
  };

  #take(item: Item): void {
    if (this.#state !== 'subscribed') {
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: item });
      return;
    }
    if (this.#buffer.length >= this.#bufferMax && !this.#makeRoom(item)) {
      return;
    }
    this.#buffer.push(item);
  }

  /** Applies the overflow policy; returns whether `item` is still to be added. */
  #makeRoom(item: Item): boolean {
    if (this.#overflow === 'error') {
      this.#fail(
        new TidegateError('overflow', `${this.#bufferMax} updates waited to be read and another one came`),
      );
      return false;
    }
    let victim = this.#buffer.findIndex((waiting) => !isTerminal(waiting));
    if (this.#overflow === 'latest' && !Array.isArray(item)) {
      const topic = (item as Update).topic;
      const sameTopic = this.#buffer.findLastIndex(
        (waiting) => (waiting as Update).topic === topic && !isTerminal(waiting),
      );
      victim = sameTopic === -1 ? victim : sameTopic;
    }
    if (victim === -1 && isTerminal(item)) {
      return true;
    }
    const lost = victim === -1 ? item : this.#buffer.splice(victim, 1)[0];
    this.#missed += Array.isArray(lost) ? lost.length : 1;
    return victim !== -1;
  }

  #reportMissed(): void {
    const missed = this.#missed;
    this.#missed = 0;
    if (missed > 0) {
      try {
        this.#onLagged?.(missed);
      } catch (error) {
        report(error);
      }
    }
  }

  #fail(error: Error): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#error = error;
    } else {
      waiter.reject(error);
    }
    this.#finish();
  }

  #finish(): void {
    this.#state = 'finished';
    this.#signal?.removeEventListener('abort', this.#stop);
    for (const waiter of this.#waiters.splice(0)) {
      waiter.resolve(DONE);
    }
    this.#unsubscribeIfFinished();
  }

  /**
   * The topic may end while `subscribe` is still running, before there is anything to unsubscribe: so this is called
   * again after it.
   */
  #unsubscribeIfFinished(): void {
    if (this.#state === 'finished') {
      this.#subscription?.();
      this.#subscription = undefined;
    }
  }
}
