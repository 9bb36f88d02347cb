/** `createHub`: pub/sub within a page or a program, without a server. */

import { type Core, TICK_MS } from './core.js';
import { dispose } from './dispose.js';
import { localCore } from './engine.js';
import { badOption, type PlainError, TidegateError, typedError } from './errors.js';
import { type Host, systemHost } from './host.js';
import { LocalLicences } from './local-licences.js';
import type { LocalHub } from './machines.js';
import { givenEndCode, optionalText } from './options.js';
import { Kind, type Row } from './records.js';
import { Switchboard } from './switchboard.js';
import { ceilingClock, taskClock } from './task-clock.js';
import type { Position, PublishOptions, Subscriber } from './types.js';

/** Options of {@link createHub}. */
export interface HubOptions {
  /**
   * How many publications each topic keeps, for subscriptions with `since`: from 1, only the latest, to 100,000.
   * Default: 1. Each that is kept beyond the latest costs memory, and half a microsecond or more when it is published.
   */
  readonly history?: number | undefined;
  /** The source of time. Default: the platform. */
  readonly host?: Host | undefined;
}

/** Pub/sub without a server: the same topics, flows, endings and resume, within a page or a program. */
export interface Hub extends Subscriber, Disposable {
  /**
   * Publishes, and calls the handlers that are due before it returns (within a handler: after what was already due).
   *
   * @returns the publication's position in its topic's history.
   * @throws {@link TidegateError} with code `bad_topic`, `bad_option`, `topic_ended`, `too_large`, `too_many_topics` or `closed`.
   */
  publish(topic: string, data: unknown, options?: PublishOptions): Position;
  /** Ends all subscriptions, without notice, and frees everything that the hub holds. */
  close(): void;
}

/** How many publications a topic keeps: the default, as nothing in a page loses its connection, and the limit. */
const HISTORY = 1;
const HISTORY_MAX = 100_000;

interface FailedNote {
  readonly note: 'failed';
  readonly error: PlainError;
}

class PageHub extends Switchboard<LocalHub, FailedNote> implements Hub {
  /** The member of a payload that can make the publication terminal. */
  #terminalField: string | undefined;
  #epoch = 0;
  #offset = 0;
  /** The slot of the last publication. */
  #slot = -1;
  /**
   * The licence that the last publication was granted, if any: how many of the publications that follow the core must
   * learn of, and until when it holds.
   */
  #kept = 0;
  #until: number | undefined;
  readonly #licences = new LocalLicences();
  /**
   * The clocks for publishing under a licence: `#now` if all subscriptions get updates at once, `#soon` if some are
   * paced.
   */
  readonly #now: () => number;
  readonly #soon: () => number;
  #failure: TidegateError | undefined;
  #isClosed = false;

  readonly #history: number;

  constructor(core: Core, host: Host, history: number) {
    super(host);
    this.core = core;
    this.#now = taskClock(host);
    this.#soon = ceilingClock(host);
    this.#history = history;
  }

  protected override make(): LocalHub {
    const { core } = this;
    const machine = core.machine<LocalHub>('hub_', core.calls.hub_new(this.host.random(), this.#history));
    machine.terminal_field();
    this.#terminalField = core.told() || undefined;
    this.#licences.clear();
    return machine;
  }

  protected override start(): void {}

  protected override remembers(): boolean {
    return false;
  }

  /** A program need not stay alive only to forget old topics. */
  override isAwaited(): boolean {
    return this.hasMachine() && this.core.enter(() => this.machine().is_holding()) !== 0;
  }

  protected override isStarted(): boolean {
    if (this.#isClosed) {
      throw new TidegateError('closed', 'this hub was closed');
    }
    return true;
  }

  protected override unsubscribe(machine: LocalHub, subscription: number): number {
    return machine.handle_unsubscribe(subscription);
  }

  /** The machine, after it has been told what was published under licences. */
  protected override machine(): LocalHub {
    const hub = super.machine();
    this.#licences.tell(hub);
    return hub;
  }

  protected override takeRow(row: Row): void {
    if (row.kind === Kind.Stored) {
      this.#epoch = row.epoch;
      this.#offset = row.offset;
    } else if (row.kind === Kind.Licensed) {
      this.#kept = row.subject;
      this.#until = row.offset === Number.POSITIVE_INFINITY ? undefined : Math.floor(row.offset);
    } else if (row.kind === Kind.LicencesEnded) {
      this.#licences.endAll();
    }
  }

  protected override takeNote(note: FailedNote): void {
    this.#failure = typedError(note.error);
  }

  publish(topic: string, data: unknown, options?: PublishOptions): Position {
    const payload = data ?? null;
    const licence = options === undefined ? this.#licences.of(topic) : undefined;
    if (licence !== undefined && this.hasMachine() && this.#status(payload) === undefined) {
      // With a paced subscription, the time is rounded up: an earlier one could open its next window too early, or
      // count this publication to a window that is over.
      const { until } = licence;
      const now = until === undefined ? this.#now() : this.#soon();
      if (now + TICK_MS < this.deadline && (until === undefined || now + TICK_MS < until)) {
        if (this.#licences.add(licence, payload, now)) {
          this.machine();
        }
        const { epoch, offset, audience } = licence;
        if (audience.entries.length > 0) {
          this.handAll(audience, { topic, data: payload, epoch, offset });
        }
        return { epoch, offset };
      }
    }
    return this.#publishByCore(topic, payload, options);
  }

  /** Publishes through the core. */
  #publishByCore(topic: string, payload: unknown, options: PublishOptions | undefined): Position {
    this.isStarted();
    const { core } = this;
    const now = this.host.now();
    const machine = now + TICK_MS < this.deadline ? super.machine() : this.machine();
    this.#failure = undefined;
    this.#kept = 0;
    let count: number;
    try {
      this.#licences.end(machine, topic);
      count = this.#publish(machine, now, core.topicNumber(topic), payload, options);
    } catch (error) {
      throw core.recover(error);
    }
    this.read(count, this.#slot);
    const [failure, position] = [this.#failure, { epoch: this.#epoch, offset: this.#offset }];
    if (this.#kept > 0) {
      this.#licences.grant(topic, position, this.audience(), this.#kept, this.#until);
    }
    this.handOver();
    if (failure !== undefined) {
      throw failure;
    }
    return position;
  }

  #publish(
    machine: LocalHub,
    now: number,
    topic: number,
    payload: unknown,
    options: PublishOptions | undefined,
  ): number {
    const { core } = this;
    const end = givenEndCode(options?.end);
    const key = optionalText(options?.id, 'id');
    const [status, id] = [core.text(this.#status(payload)), core.text(key)];
    this.#slot = core.slots.put(payload);
    return machine.handle_publish(now, topic, this.#slot, end, status, id, options?.restart ?? false);
  }

  /** The value of the member that can make a payload terminal, if it is a text. */
  #status(payload: unknown): string | undefined {
    return this.#terminalField === undefined ? undefined : textMember(payload, this.#terminalField);
  }

  close(): void {
    this.#isClosed = true;
    this.#licences.clear();
    this.shutDown();
  }

  [dispose](): void {
    this.close();
  }
}

/** The member `field` of `value`, if `value` is an object and the member a text. */
function textMember(value: unknown, field: string): string | undefined {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  const member = (value as Record<string, unknown>)[field];
  return typeof member === 'string' ? member : undefined;
}

/**
 * Makes a hub. In a browser, await `ready()` first.
 *
 * @throws {@link TidegateError} with code `not_ready` or `bad_option`.
 */
export function createHub(options: HubOptions = {}): Hub {
  const { history = HISTORY, host = systemHost } = options;
  if (!Number.isInteger(history) || history < 1 || history > HISTORY_MAX) {
    throw badOption('history', history, `a whole number from 1 to ${HISTORY_MAX}`);
  }
  const core = localCore();
  if (!core.loadNow()) {
    throw new TidegateError('not_ready', 'the WASM core is not loaded yet: await ready() before createHub()');
  }
  return new PageHub(core, host, history) as Hub;
}
