/** `createHub`: pub/sub within a page or a program, without a server. */

import type { Core } from './core.js';
import { dispose } from './dispose.js';
import { localCore } from './engine.js';
import type { Entry } from './entry.js';
import { type PlainError, TidegateError, typedError } from './errors.js';
import { type Host, systemHost } from './host.js';
import type { LocalHub } from './machines.js';
import { endCode } from './options.js';
import { Kind, type Row } from './records.js';
import { Switchboard } from './switchboard.js';
import type { Position, PublishOptions, Subscriber } from './types.js';

/** Options of {@link createHub}. */
export interface HubOptions {
  /** Where time comes from. Default: the platform. */
  readonly host?: Host;
}

/** Pub/sub without a server: the same topics, flows, endings and resume, within a page or a program. */
export interface Hub extends Subscriber, Disposable {
  /**
   * Publishes to all who subscribe, and calls those that are due before it returns (but within a handler:
   * after what was due before).
   *
   * @returns where the publication stands in its topic's history.
   * @throws {@link TidegateError} with code `bad_topic`, `topic_ended`, `too_large`, `too_many_topics` or `closed`.
   */
  publish(topic: string, data: unknown, options?: PublishOptions): Position;
  /** Ends all subscriptions, without a word to them, and frees what the hub holds. */
  close(): void;
}

/**
 * What a publish returns where there is nothing to read: the publication is the next one of its topic, for the audience
 * that was named.
 */
const CONTINUES = -2;

/** What the core has said of a publication: its own audience from then on, the one that was named, or nobody can say. */
const SAME_AUDIENCE = -2;
const NO_AUDIENCE = -1;

/** Whom a topic's publications reach, as the core has said. */
interface Audience {
  readonly topic: string;
  readonly number: number;
  readonly entries: readonly Entry[];
  /** Where its last publication stands. */
  epoch: number;
  offset: number;
}

interface FailedNote {
  readonly note: 'failed';
  readonly error: PlainError;
}

class PageHub extends Switchboard<LocalHub, FailedNote> implements Hub {
  /** The member of a payload that may make it terminal. */
  #terminalField: string | undefined;
  #epoch = 0;
  #offset = 0;
  /** The slot of what was published last. */
  #slot = -1;
  #reachedAudience = NO_AUDIENCE;
  /** By the numbers of topics. */
  #audiences: (Audience | undefined)[] = [];
  #failure: TidegateError | undefined;
  #isClosed = false;

  constructor(core: Core, host: Host) {
    super(host);
    this.core = core;
  }

  protected override make(): LocalHub {
    const { core } = this;
    const machine = core.machine<LocalHub>('hub_', core.calls.hub_new(this.host.random()));
    machine.terminal_field();
    this.#terminalField = core.told() || undefined;
    this.#audiences = [];
    return machine;
  }

  protected override start(): void {}

  protected override remembers(): boolean {
    return false;
  }

  /** Forgetting old topics is nothing to stay for. */
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

  protected override takeRow(row: Row): void {
    this.#takeRow(row);
  }

  readonly #takeRow = (row: Row): void => {
    if (row.kind === Kind.Stored) {
      this.#epoch = row.epoch;
      this.#offset = row.offset;
      this.#reachedAudience = row.subject;
    }
  };

  protected override takeNote(note: FailedNote): void {
    this.#failure = typedError(note.error);
  }

  publish(topic: string, data: unknown, options?: PublishOptions): Position {
    this.isStarted();
    const { core } = this;
    const machine = this.machine();
    const payload = data ?? null;
    this.#failure = undefined;
    this.#reachedAudience = NO_AUDIENCE;
    let number: number;
    let known: Audience | undefined;
    let count: number;
    try {
      number = core.topicNumber(topic);
      known = this.#audiences[number];
      if (known?.topic !== topic) {
        known = undefined;
      }
      count = this.#publish(machine, number, payload, options, known?.number ?? NO_AUDIENCE);
    } catch (error) {
      throw core.recover(error);
    }
    if (known !== undefined && (count === CONTINUES || this.#isSame(count))) {
      known.epoch = count === CONTINUES ? known.epoch : this.#epoch;
      known.offset = count === CONTINUES ? known.offset + 1 : this.#offset;
      const { epoch, offset, entries } = known;
      this.handAll(entries, { topic, data: payload, epoch, offset });
      return { epoch, offset };
    }
    this.read(count, this.#slot);
    const audience = this.#reachedAudience;
    const [failure, position] = [this.#failure, { epoch: this.#epoch, offset: this.#offset }];
    this.#audiences[number] =
      audience === NO_AUDIENCE
        ? undefined
        : { topic, number: audience, entries: this.reached(), ...position };
    this.handOver();
    if (failure !== undefined) {
      throw failure;
    }
    return position;
  }

  #publish(
    machine: LocalHub,
    topic: number,
    payload: unknown,
    options: PublishOptions | undefined,
    audience: number,
  ): number {
    const { core } = this;
    const status = this.#terminalField === undefined ? undefined : textMember(payload, this.#terminalField);
    const now = this.host.now();
    const end = endCode(options?.end);
    this.#slot = core.slots.put(payload);
    const [told, id] = [core.text(status), core.text(options?.id)];
    return machine.handle_publish(now, topic, this.#slot, end, told, id, options?.restart ?? false, audience);
  }

  /** Whether a publication has reached the audience that was named. Then nothing else is in the list but freed slots. */
  #isSame(count: number): boolean {
    if (!this.core.firstRecordSays(Kind.Stored, SAME_AUDIENCE)) {
      return false;
    }
    this.core.forEachRecord(count, this.#takeRow);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.shutDown();
  }

  [dispose](): void {
    this.close();
  }
}

/** The member `field` of `value`, where `value` is an object and the member a text. */
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
 * @throws {@link TidegateError} with code `not_ready`.
 */
export function createHub(options: HubOptions = {}): Hub {
  const core = localCore();
  if (!core.isReady()) {
    throw new TidegateError('not_ready', 'the WASM core is not loaded yet: await ready() before createHub()');
  }
  return new PageHub(core, options.host ?? systemHost) as Hub;
}
