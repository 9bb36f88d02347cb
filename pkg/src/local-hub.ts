/** `createHub`: pub/sub within a page or a program, without a server. */

import type { Core } from './core.js';
import { dispose } from './dispose.js';
import { localCore } from './engine.js';
import { type PlainError, TidegateError, typedError } from './errors.js';
import { type Host, systemHost } from './host.js';
import { LocalLicences } from './local-licences.js';
import type { LocalHub } from './machines.js';
import { endCode } from './options.js';
import { Kind, type Row } from './records.js';
import { Switchboard } from './switchboard.js';
import { taskClock } from './task-clock.js';
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

/** The finest time that the core tells apart, in milliseconds. */
const TICK_MS = 0.001;

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
  /** Of what was published last: how much the core is to be told of what follows, if that may be published without asking. */
  #kept = 0;
  readonly #licences = new LocalLicences();
  /** When it is, for what is published without asking. */
  readonly #now: () => number;
  #failure: TidegateError | undefined;
  #isClosed = false;

  constructor(core: Core, host: Host) {
    super(host);
    this.core = core;
    this.#now = taskClock(host);
  }

  protected override make(): LocalHub {
    const { core } = this;
    const machine = core.machine<LocalHub>('hub_', core.calls.hub_new(this.host.random()));
    machine.terminal_field();
    this.#terminalField = core.told() || undefined;
    this.#licences.clear();
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

  /** The machine, which is told first what was published without asking it. */
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
      const now = this.#now();
      if (now + TICK_MS < this.deadline) {
        if (this.#licences.add(licence, payload, now)) {
          this.machine();
        }
        const { epoch, offset } = licence;
        this.handAll(licence.entries, { topic, data: payload, epoch, offset });
        return { epoch, offset };
      }
    }
    return this.#ask(topic, payload, options);
  }

  /** Publishes what the core is to decide on. */
  #ask(topic: string, payload: unknown, options: PublishOptions | undefined): Position {
    this.isStarted();
    const { core } = this;
    const machine = super.machine();
    this.#failure = undefined;
    this.#kept = 0;
    let count: number;
    try {
      this.#licences.end(machine, topic);
      count = this.#publish(machine, core.topicNumber(topic), payload, options);
    } catch (error) {
      throw core.recover(error);
    }
    this.read(count, this.#slot);
    const [failure, position] = [this.#failure, { epoch: this.#epoch, offset: this.#offset }];
    if (this.#kept > 0) {
      this.#licences.grant(topic, position, this.reached(), this.#kept);
    }
    this.handOver();
    if (failure !== undefined) {
      throw failure;
    }
    return position;
  }

  #publish(machine: LocalHub, topic: number, payload: unknown, options: PublishOptions | undefined): number {
    const { core } = this;
    const now = this.host.now();
    const end = endCode(options?.end);
    this.#slot = core.slots.put(payload);
    const [status, id] = [core.text(this.#status(payload)), core.text(options?.id)];
    return machine.handle_publish(now, topic, this.#slot, end, status, id, options?.restart ?? false);
  }

  /** The text by which a payload may be terminal. */
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
