/**
 * Who subscribed, and handing over what is due to them. What a hub in the page and a connection have in common.
 *
 * What is due is read from the core first and handed over afterwards (see `mailbox.ts`): handlers may publish,
 * subscribe and unsubscribe.
 */

import { dispose } from './dispose.js';
import { attempt, core, currentEra, enter, recover, typedError } from './engine.js';
import { DETACHED, type Entry, fail, type Handler, newEntry, stageEntry, stageFlow } from './entry.js';
import { report, type TidegateError } from './errors.js';
import { FrameWaiter } from './frame-clock.js';
import { Alarm, type Host, type Sleeper } from './host.js';
import { Mailbox } from './mailbox.js';
import { endReason, flowSpec } from './options.js';
import { forEachRecord, Kind, type Row } from './records.js';
import { slotValue } from './slots.js';
import type { RefusedNote, ResetNote, SubscriptionNote } from './subscription-notes.js';
import { topicName } from './topics.js';
import type {
  EndReason,
  FlowOptions,
  SubscribeOptions,
  Subscriber,
  Subscription,
  Update,
  WatchOptions,
} from './types.js';
import { Watch } from './watch.js';

/**
 * The hub of the core that a switchboard drives.
 *
 * @internal
 */
export interface Machine {
  handle_subscribe(nowMs: number, pattern: string, start: number): number;
  handle_flow(nowMs: number, subscription: number): number;
  handle_timeout(nowMs: number): number;
  handle_tick(nowMs: number): number;
  wants_tick(): boolean;
  drain(): number;
  poll_timeout(): number;
  free(): void;
}

/** @internal */
export abstract class Switchboard<M extends Machine, Note extends { note: string }>
  implements Subscriber, Sleeper
{
  deadline = Number.POSITIVE_INFINITY;
  protected readonly host: Host;
  readonly #alarm: Alarm;
  readonly #frames: FrameWaiter;
  #machine: M | undefined;
  #era = 0;
  readonly #live = new Set<Entry>();
  /** The entries that the core knows, by their numbers. */
  #attached: (Entry | undefined)[] = [];
  readonly #mailbox = new Mailbox();
  /** The last update read: a publication for many subscriptions is made an object once. */
  #update: Update | undefined;
  #updateSlot = -1;

  constructor(host: Host) {
    this.host = host;
    this.#alarm = Alarm.of(host);
    this.#frames = new FrameWaiter(host, () => this.#wakeWith('handle_tick'));
  }

  /** Makes the machine, when the core is there. */
  protected abstract make(): M;
  /** Called with a machine that was just made, before subscriptions are made known to it. */
  protected abstract start(machine: M): void;
  /** Tells the machine that a subscription is over. */
  protected abstract unsubscribe(machine: M, subscription: number): number;
  /** Takes a record that is not about a subscription. Called while reading: it must not call into the core. */
  protected abstract takeRow(row: Row): void;
  /** Takes the text of a frame that is to be sent, whose data is in a slot, if not -1. Likewise. */
  protected takeFrame(_json: string, _slot: number): void {}
  /** Takes the text of a message to other tabs, whose data is in the slots of the data rows before it. Likewise. */
  protected takePost(_text: string): void {}
  /** Takes a note that is not about a subscription, likewise. */
  protected abstract takeNote(note: Note): void;
  /** Whether subscriptions are to be made known to the core now, rather than once there is a machine. */
  protected abstract isStarted(): boolean;
  /** The machine, made anew if the core was started afresh since, with all subscriptions. */
  protected machine(): M {
    if (this.#machine === undefined || this.#era !== currentEra()) {
      this.#machine = enter(() => this.make());
      this.#era = currentEra();
      this.#attached = [];
      for (const entry of this.#live) {
        entry.number = DETACHED;
        entry.parts = [];
      }
      this.start(this.#machine);
      for (const entry of [...this.#live]) {
        this.#attachOrFail(entry);
      }
    }
    return this.#machine;
  }

  /** Makes another machine in the place of the one there is, with all subscriptions. */
  protected remake(): void {
    this.#machine?.free();
    this.#machine = undefined;
    this.machine();
  }

  /** Whether there is a machine of the core that runs now. */
  protected hasMachine(): boolean {
    return this.#machine !== undefined && this.#era === currentEra();
  }

  subscribe(
    pattern: string,
    optionsOrHandler: SubscribeOptions | Handler,
    handlerAfterOptions?: Handler,
  ): Subscription {
    if (typeof optionsOrHandler === 'function') {
      return this.#add(pattern, {}, optionsOrHandler);
    }
    if (typeof handlerAfterOptions !== 'function') {
      throw new TypeError('subscribe needs a function that takes updates');
    }
    return this.#add(pattern, optionsOrHandler, handlerAfterOptions);
  }

  #add(pattern: string, options: SubscribeOptions, handler: Handler, onClosed?: () => void): Subscription {
    const entry = newEntry(pattern, options, handler, onClosed);
    const subscription = this.#subscription(entry);
    if (options.signal?.aborted) {
      entry.active = false;
      return subscription;
    }
    const isStarted = this.isStarted();
    if (isStarted) {
      this.machine();
    }
    this.#live.add(entry);
    if (isStarted) {
      try {
        this.#attach(entry);
      } catch (error) {
        this.#drop(entry);
        throw recover(error);
      }
    }
    if (entry.active && options.signal !== undefined) {
      entry.abort = () => this.#cancel(entry);
      options.signal.addEventListener('abort', entry.abort, { once: true });
    }
    return subscription;
  }

  watch(pattern: string, options: WatchOptions = {}): never {
    const { buffer, overflow, signal, ...rest } = options;
    const watch = new Watch(
      (sink) =>
        this.#add(
          pattern,
          { ...rest, onEnd: () => sink.ended(), onError: (error) => sink.failed(error) },
          sink.item as Handler,
          () => sink.ended(),
        ),
      options,
    );
    return watch as never;
  }

  #subscription(entry: Entry): Subscription {
    const unsubscribe = (): void => this.#cancel(entry);
    Object.defineProperties(unsubscribe, {
      pattern: { value: entry.pattern },
      active: { get: () => entry.active },
      setFlow: { value: (flow: FlowOptions) => this.#setFlow(entry, flow) },
      [dispose]: { value: unsubscribe },
    });
    return unsubscribe as Subscription;
  }

  #attach(entry: Entry): void {
    if (entry.number !== DETACHED || !entry.active) {
      return;
    }
    const machine = this.machine();
    const number = attempt(() => {
      const start = stageEntry(entry);
      return machine.handle_subscribe(this.host.now(), entry.pattern, start);
    });
    entry.number = number;
    this.#attached[number] = entry;
    this.read(enter(() => machine.drain()));
    this.schedule();
  }

  #attachOrFail(entry: Entry): void {
    try {
      this.#attach(entry);
    } catch (error) {
      this.#drop(entry);
      this.queue(() => fail(entry, recover(error)));
      this.schedule();
    }
  }

  #setFlow(entry: Entry, flow: FlowOptions): void {
    const spec = flowSpec(flow);
    const machine = this.isStarted() ? this.machine() : undefined;
    if (machine !== undefined && entry.number !== DETACHED) {
      attempt(() => {
        stageFlow(spec);
        return machine.handle_flow(this.host.now(), entry.number);
      });
    }
    entry.flow = spec;
    entry.collects = typeof flow.conflate === 'object';
    if (machine !== undefined) {
      this.read(enter(() => machine.drain()));
      this.handOver();
    }
  }

  /** Ends a subscription because its subscriber wants no more. */
  #cancel(entry: Entry): void {
    if (!entry.active) {
      return;
    }
    const number = entry.number;
    this.#drop(entry);
    if (number !== DETACHED && this.hasMachine()) {
      const machine = this.machine();
      this.read(enter(() => this.unsubscribe(machine, number)));
      this.handOver();
    }
  }

  /** Forgets a subscription; nothing of it is handed over any more. */
  #drop(entry: Entry): void {
    entry.active = false;
    this.#detach(entry);
    if (entry.abort !== undefined) {
      entry.options.signal?.removeEventListener('abort', entry.abort);
    }
  }

  #detach(entry: Entry): void {
    this.#live.delete(entry);
    if (entry.number !== DETACHED) {
      this.#attached[entry.number] = undefined;
      entry.number = DETACHED;
    }
  }

  /** Ends all subscriptions without a word to their handlers. Iterators end. */
  protected endAll(): void {
    for (const entry of [...this.#live]) {
      this.#drop(entry);
      entry.onClosed?.();
    }
  }

  /** Ends all subscriptions with an error. */
  protected failAll(error: TidegateError): void {
    for (const entry of [...this.#live]) {
      this.#drop(entry);
      this.queue(() => fail(entry, error));
    }
  }

  /** Ends all subscriptions and forgets the machine: nothing is due from now on. */
  protected shutDown(): void {
    this.endAll();
    if (this.hasMachine()) {
      const machine = this.#machine!;
      this.#machine = undefined;
      machine.free();
    }
    this.#alarm.set(this, Number.POSITIVE_INFINITY);
    this.#frames.want(false);
  }

  isAwaited(): boolean {
    return true;
  }

  wake(): void {
    this.#wakeWith('handle_timeout');
  }

  #wakeWith(handle: 'handle_timeout' | 'handle_tick'): void {
    try {
      const machine = this.machine();
      this.read(enter(() => machine[handle](this.host.now())));
    } catch (error) {
      report(recover(error));
    }
    this.handOver();
  }

  /** Reads the list that a call left, and arms the timer. What is due is then queued. */
  protected read(count: number): void {
    this.#updateSlot = -1;
    let texts: string | undefined;
    let from = 0;
    const nextText = (length: number): string => {
      texts ??= core().take_texts();
      from += length;
      return texts.slice(from - length, from);
    };
    forEachRecord(count, (row) => {
      if (row.kind === Kind.Note) {
        this.#readNote(JSON.parse(nextText(row.subject)));
      } else if (row.kind === Kind.Send) {
        this.takeFrame(nextText(row.subject), row.slot);
      } else if (row.kind === Kind.Post) {
        this.takePost(nextText(row.subject));
      } else {
        this.#readRow(row);
      }
    });
    if (this.#machine !== undefined) {
      const machine = this.#machine;
      this.#alarm.set(
        this,
        enter(() => machine.poll_timeout()),
      );
      this.#frames.want(enter(() => machine.wants_tick()));
    }
  }

  #readRow(row: Row): void {
    const entry = this.#attached[row.subject];
    switch (row.kind) {
      case Kind.One:
        this.#readOne(entry, this.#readUpdate(row));
        break;
      case Kind.Part:
        entry?.parts.push(this.#readUpdate(row));
        break;
      case Kind.LastPart:
        this.#readLastPart(entry, this.#readUpdate(row));
        break;
      case Kind.End:
        this.#readEnd(entry, endReason(row.end)!);
        break;
      case Kind.Lagged:
        this.#readLagged(entry, row.offset);
        break;
      default:
        this.takeRow(row);
    }
  }

  #readUpdate(row: Row): Update {
    if (row.slot !== this.#updateSlot) {
      const end = endReason(row.end);
      const update = {
        topic: topicName(row.topic),
        data: slotValue(row.slot),
        epoch: row.epoch,
        offset: row.offset,
      };
      this.#update = end === undefined ? update : { ...update, end };
      this.#updateSlot = row.slot;
    }
    return this.#update!;
  }

  #readOne(entry: Entry | undefined, update: Update): void {
    if (entry !== undefined) {
      const due = entry.collects ? [update] : update;
      this.#mailbox.put(entry, due);
    }
  }

  #readLastPart(entry: Entry | undefined, update: Update): void {
    if (entry === undefined) {
      return;
    }
    const parts = entry.parts;
    entry.parts = [];
    parts.push(update);
    if (entry.collects) {
      this.#mailbox.put(entry, parts);
    } else {
      for (const part of parts) {
        this.#readOne(entry, part);
      }
    }
  }

  #readEnd(entry: Entry | undefined, reason: EndReason): void {
    if (entry !== undefined) {
      this.#detach(entry);
      this.#tell(entry, () => {
        this.#drop(entry);
        entry.options.onEnd?.(reason);
      });
    }
  }

  #readLagged(entry: Entry | undefined, missed: number): void {
    if (entry !== undefined) {
      this.#tell(entry, () => entry.options.onLagged?.(missed));
    }
  }

  #readNote(note: SubscriptionNote | Note): void {
    if (note.note === 'reset') {
      const { subscription, topic, epoch, offset } = note as ResetNote;
      const entry = this.#attached[subscription];
      if (entry !== undefined) {
        const at = { topic, epoch, offset };
        this.#tell(entry, () => entry.options.onReset?.(at));
      }
    } else if (note.note === 'refused') {
      const { subscription, error } = note as RefusedNote;
      const entry = this.#attached[subscription];
      if (entry !== undefined) {
        this.#detach(entry);
        this.#tell(entry, () => {
          this.#drop(entry);
          fail(entry, typedError(error));
        });
      }
    } else {
      this.takeNote(note as Note);
    }
  }

  /** Queues something that its subscriber is to be told, if the subscription is still active then. */
  #tell(entry: Entry, task: () => void): void {
    this.queue(() => {
      if (entry.active) {
        task();
      }
    });
  }

  /** Queues something to be done in order with what is handed over. */
  protected queue(task: () => void): void {
    this.#mailbox.putTask(task);
  }

  /** Hands over what is queued, soon. */
  protected schedule(): void {
    this.#mailbox.schedule();
  }

  /** Hands over what is queued, now. */
  protected handOver(): void {
    this.#mailbox.handOver();
  }
}
