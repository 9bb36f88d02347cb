/** The publishes of a connection, from the call to the server's answer. */

import type { TidegateError } from './errors.js';
import { type Encoded, encode } from './frames.js';
import type { TabHub } from './machines.js';
import { givenEndCode, optionalText } from './options.js';
import { answerTo, Requests, type Waiting } from './requests.js';
import type { TidePublishOptions } from './tide-types.js';
import type { Position } from './types.js';

/**
 * What publishing needs of the connection.
 *
 * @internal
 */
export interface PublishingEvents {
  /** Whether there is a core by now. Throws if there will never be one. */
  isStarted(): boolean;
  hub(): TabHub;
  now(): number;
  /** A publish was passed to the core: reads what is due because of it. */
  published(hub: TabHub): void;
  /** Turns what a call into the core threw into a typed error. */
  recover(thrown: unknown): TidegateError;
  /** Queues a task, in order with the deliveries to handlers. */
  queue(task: () => void): void;
  /** Too many publishes wait for their answer. */
  crowded(error: TidegateError): void;
}

/** No publish. */
const NONE = -1;

/** @internal */
export class Publishing {
  /** The publishes that wait for their answer. */
  readonly requests: Requests;
  readonly #events: PublishingEvents;
  /** The publishes that wait for a core. */
  readonly #early: Waiting[] = [];
  /** The publish that is being passed to the core. */
  #offered = NONE;
  /** Whether too many waiting publishes have been reported, and some publish has been waiting ever since. */
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

  /** Publishes what was waiting for a core. */
  begin(): void {
    for (const { publish } of this.#early.splice(0)) {
      publish();
    }
  }

  /**
   * Another core takes over, and repeats the publishes that wait for their answer. They may have taken place already,
   * so each is repeated with the idempotency key that the old core used.
   */
  moveOver(takeOver: () => void): void {
    this.#early.push(...this.requests.takeAll());
    takeOver();
    this.begin();
  }

  /**
   * A publish was refused: by the server, or at once by the core. The latter is also reported as crowding, for a caller
   * that doesn't await the promise.
   */
  fail(number: number, error: TidegateError): void {
    this.requests.reject(number, error);
    if (number === this.#offered && error.code === 'too_many_requests' && !this.#isCrowded) {
      this.#isCrowded = true;
      this.#events.crowded(error);
    }
  }

  /** Fails everything that waits: no core and no answer will come. */
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
