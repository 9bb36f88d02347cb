/** `createHub`: pub/sub within a page or a program, without a server. */

import { dispose } from './dispose.js';
import { core, enter, isReady, typedError } from './engine.js';
import { TidegateError } from './errors.js';
import { type Host, systemHost } from './host.js';
import { endCode } from './options.js';
import { Kind, type Row } from './records.js';
import { putSlot, textMember } from './slots.js';
import { Switchboard } from './switchboard.js';
import { topicNumber } from './topics.js';
import type { Position, PublishOptions, Subscriber } from './types.js';
import type { LocalHub } from './wasm/tidegate.js';

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
  readonly error: Parameters<typeof typedError>[0];
}

class PageHub extends Switchboard<LocalHub, FailedNote> implements Hub {
  /** The member of a payload that may make it terminal. */
  #terminalField: string | undefined;
  #position: Position | undefined;
  #failure: TidegateError | undefined;
  #isClosed = false;

  protected override make(): LocalHub {
    const machine = new (core().LocalHub)(this.host.random());
    this.#terminalField = machine.terminal_field();
    return machine;
  }

  protected override start(): void {}

  /** Forgetting old topics is nothing to stay for. */
  override isAwaited(): boolean {
    return this.hasMachine() && enter(() => this.machine().is_holding());
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
    const machine = this.machine();
    this.#failure = undefined;
    this.read(
      enter(() => {
        const number = topicNumber(topic);
        const payload = data ?? null;
        const status =
          this.#terminalField === undefined ? undefined : textMember(payload, this.#terminalField);
        const now = this.host.now();
        const end = endCode(options?.end);
        const slot = putSlot(payload);
        return machine.handle_publish(now, number, slot, end, status, options?.id, options?.restart ?? false);
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

/**
 * Makes a hub. In a browser, await `ready()` first.
 *
 * @throws {@link TidegateError} with code `not_ready`.
 */
export function createHub(options: HubOptions = {}): Hub {
  if (!isReady()) {
    throw new TidegateError('not_ready', 'the WASM core is not loaded yet: await ready() before createHub()');
  }
  return new PageHub(options.host ?? systemHost) as Hub;
}
