/** `createHub`: pub/sub within a page or a program, without a server. */

import type { Core } from './core.js';
import { dispose } from './dispose.js';
import { localCore } from './engine.js';
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

interface FailedNote {
  readonly note: 'failed';
  readonly error: PlainError;
}

class PageHub extends Switchboard<LocalHub, FailedNote> implements Hub {
  /** The member of a payload that may make it terminal. */
  #terminalField: string | undefined;
  #position: Position | undefined;
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
    return machine;
  }

  protected override start(): void {}

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
    if (row.kind === Kind.Published) {
      this.#position = { epoch: row.epoch, offset: row.offset };
    }
  }

  protected override takeNote(note: FailedNote): void {
    this.#failure = typedError(note.error);
  }

  publish(topic: string, data: unknown, options?: PublishOptions): Position {
    this.isStarted();
    const { core } = this;
    const machine = this.machine();
    this.#failure = undefined;
    this.read(
      core.enter(() => {
        const number = core.topicNumber(topic);
        const payload = data ?? null;
        const status =
          this.#terminalField === undefined ? undefined : textMember(payload, this.#terminalField);
        const now = this.host.now();
        const end = endCode(options?.end);
        const slot = core.slots.put(payload);
        const texts = [core.text(status), core.text(options?.id)] as const;
        return machine.handle_publish(now, number, slot, end, ...texts, options?.restart ?? false);
      }),
    );
    const [failure, position] = [this.#failure, this.#position!];
    this.handOver();
    if (failure !== undefined) {
      throw failure;
    }
    return position;
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
