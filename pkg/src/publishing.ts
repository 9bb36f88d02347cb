/** Publishes of a connection: on their way to the core, and until they are answered. */

import type { TidegateError } from './errors.js';
import { type Encoded, encode } from './frames.js';
import type { TabHub } from './machines.js';
import { givenEndCode, optionalText } from './options.js';
import { answerTo, Requests, type Waiting } from './requests.js';
import type { TidePublishOptions } from './tide-types.js';
import type { Position } from './types.js';

/**
 * The connection, as publishing needs it.
 *
 * @internal
 */
export interface PublishingEvents {
  /** Whether there is a core to publish by now; throws if there will be none. */
  isStarted(): boolean;
  hub(): TabHub;
  now(): number;
  /** The core has a publish: what is due by that is to be read. */
  published(hub: TabHub): void;
  /** Makes what a call into the core threw a typed error. */
  recover(thrown: unknown): TidegateError;
  /** Queues something to be done in order with what is handed over. */
  queue(task: () => void): void;
  /** More is published than may wait for its answer. */
  crowded(error: TidegateError): void;
}

/** No publish. */
const NONE = -1;

/** @internal */
export class Publishing {
  /** What waits to be answered. */
  readonly requests: Requests;
  readonly #events: PublishingEvents;
  /** What waits for a core. */
  readonly #early: Waiting[] = [];
  /** The publish that the core is being told of. */
  #offered = NONE;
  /** Whether it was told that more is published than may wait, and something has waited since. */
  #isCrowded = false;

  constructor(events: PublishingEvents) {
    this.#events = events;
    this.requests = new Requests((task) => events.queue(task));
  }

  publish(topic: string, data: unknown, options: TidePublishOptions): Promise<Position> {
    return answerTo(options.signal, (request) => {
      const isStarted = this.#events.isStarted();
      const encoded = encode(data);
      const publish = (): void => this.#publish(topic, encoded, options, waiting);
      const waiting: Waiting = { publish, request };
      if (isStarted) {
        publish();
      } else {
        this.#early.push(waiting);
      }
    });
  }

  /** There is a core: what waited for one is published. */
  begin(): void {
    for (const { publish } of this.#early.splice(0)) {
      publish();
    }
  }

  /**
   * Another core takes over: what waits for an answer is published by that. It may have left, and taken place: so it is published
   * by the key that the core had for it.
   */
  moveOver(takeOver: () => void): void {
    this.#early.push(...this.requests.takeAll());
    takeOver();
    this.begin();
  }

  /** The server refuses a publish; or the core does as it is told of it, which whoever awaits none would never learn. */
  fail(number: number, error: TidegateError): void {
    this.requests.reject(number, error);
    if (number === this.#offered && error.code === 'too_many_requests' && !this.#isCrowded) {
      this.#isCrowded = true;
      this.#events.crowded(error);
    }
  }

  /** Nothing more is published, and no answer comes. */
  end(error: TidegateError): void {
    for (const { request } of this.#early.splice(0)) {
      this.#events.queue(() => request.reject(error));
    }
    this.requests.rejectAll(error);
  }

  #publish(topic: string, encoded: Encoded, options: TidePublishOptions, waiting: Waiting): void {
    try {
      const hub = this.#events.hub();
      const { core } = hub;
      const number = core.enter(() => {
        const topicId = core.topicNumber(topic);
        const end = givenEndCode(options.end);
        const id = core.text(optionalText(options.id ?? waiting.key, 'id'));
        const slot = core.slots.put(encoded);
        return hub.handle_publish(this.#events.now(), topicId, slot, end, id, options.restart ?? false);
      });
      this.#isCrowded &&= this.requests.areWaiting;
      this.requests.add(number, waiting);
      this.#offered = number;
      this.#events.published(hub);
      this.#offered = NONE;
    } catch (error) {
      waiting.request.reject(this.#events.recover(error));
    }
  }
}
