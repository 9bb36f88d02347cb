/**
 * The subscriptions of a hub or a connection, and the delivery of what is due to them.
 *
 * Records are read first, and handlers are called afterwards (see `mailbox.ts`): they may publish, subscribe and
 * unsubscribe.
 */

import type { Core } from './core.js';
import { Deliveries } from './deliveries.js';
import { dispose } from './dispose.js';
import {
  type AnyFlow,
  type AnyOptions,
  DETACHED,
  type Entry,
  fail,
  type Handler,
  newEntry,
  setFlow,
  stageEntry,
  stageFlow,
} from './entry.js';
import { badOption, report, TidegateError } from './errors.js';
import { FrameWaiter } from './frame-clock.js';
import { Alarm, type Host, type Sleeper } from './host.js';
import type { ClientHub, HubMachine } from './machines.js';
import { type Audience, Mailbox } from './mailbox.js';
import { noteHost } from './next-frame.js';
import { flowSpec } from './options.js';
import { Kind, type Row } from './records.js';
import type { CollectWatchOptions, Subscriber, Subscription, Update, WatchOptions } from './types.js';
import { Watch } from './watch.js';

/** @internal */
export abstract class Switchboard<M extends HubMachine, Note extends { note: string }>
  implements Subscriber, Sleeper
{
  deadline = Number.POSITIVE_INFINITY;
  protected readonly host: Host;
  /** The core that makes the machines. It is set before the first one is made. */
  protected core!: Core;
  readonly #alarm: Alarm;
  readonly #frames: FrameWaiter;
  #machine: M | undefined;
  #era = 0;
  readonly #live = new Set<Entry>();
  readonly #mailbox = new Mailbox();
  readonly #deliveries = new Deliveries(
    this.#mailbox,
    (entry) => this.#detach(entry),
    (entry) => this.#drop(entry),
  );

  constructor(host: Host) {
    this.host = host;
    noteHost(this, host);
    this.#alarm = Alarm.of(host);
    this.#frames = new FrameWaiter(host, () => this.#wakeWith('handle_tick'));
  }

  /** Makes the machine, once there is a core. */
  protected abstract make(): M;
  /** Called with a machine that was just made, before subscriptions are made known to it. */
  protected abstract start(machine: M): void;
  /** Tells the machine that a subscription is over. */
  protected abstract unsubscribe(machine: M, subscription: number): number;
  /** Processes a record that is not about a subscription. Called amid reading: it must not call into the core. */
  protected abstract takeRow(row: Row): void;
  /** Processes an outgoing frame: its text, and a row with the slot of its data, or -1. Must not call into the core. */
  protected takeFrame(_json: string, _row: Row): void {}
  /** Processes a message to other tabs, with its data in the slots of the data rows before. Must not call into the core. */
  protected takePost(_text: string): void {}
  /** Processes a note that is not about a subscription. Must not call into the core. */
  protected abstract takeNote(note: Note): void;
  /** Whether there is a server that remembers durable subscriptions. */
  protected remembers(): boolean {
    return true;
  }
  /** Whether there is a core, so that subscriptions are passed to it now rather than later. */
  protected abstract isStarted(): boolean;
  /** The machine. If there is none, or the core was restarted, it is made with all subscriptions. */
  protected machine(): M {
    if (this.#machine === undefined || this.#era !== this.core.era) {
      const isBroken = this.#machine !== undefined;
      this.#machine = this.core.enter(() => this.make());
      this.#era = this.core.era;
      this.#deliveries.clear();
      for (const entry of this.#live) {
        entry.number = DETACHED;
        entry.parts = [];
        entry.since = isBroken ? undefined : entry.since;
      }
      this.start(this.#machine);
      for (const entry of [...this.#live]) {
        this.#attachOrFail(entry);
      }
    }
    return this.#machine;
  }

  /** Frees the machine. The next one is made with all subscriptions. */
  protected shutMachine(): void {
    if (this.hasMachine()) {
      this.#machine!.free();
    }
    this.#machine = undefined;
  }

  /** Whether there is a machine, and the core that made it is still running. */
  protected hasMachine(): boolean {
    return this.#machine !== undefined && this.#era === this.core.era;
  }

  subscribe(
    pattern: string,
    optionsOrHandler: AnyOptions | Handler | undefined,
    handlerAfterOptions?: Handler,
  ): Subscription {
    if (typeof optionsOrHandler === 'function') {
      return this.#add(pattern, {}, optionsOrHandler);
    }
    if (typeof handlerAfterOptions !== 'function') {
      throw badOption('the handler', handlerAfterOptions, 'a function that takes updates');
    }
    return this.#add(pattern, optionsOrHandler ?? {}, handlerAfterOptions);
  }

  #add(pattern: string, options: AnyOptions, handler: Handler, onClosed?: () => void): Subscription {
    if ((options.durable ?? options.slow) !== undefined && !this.remembers()) {
      throw new TidegateError(
        'bad_option',
        'durable and slow are for connections: a hub in the page has no server',
      );
    }
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
        throw this.core.recover(error);
      }
    }
    if (entry.active && options.signal) {
      entry.abort = () => this.#cancel(entry);
      options.signal.addEventListener('abort', entry.abort, { once: true });
    }
    return subscription;
  }

  watch(pattern: string, options: WatchOptions | CollectWatchOptions = {}): never {
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
      setFlow: { value: (flow: AnyFlow) => this.#setFlow(entry, flow) },
      forget: { value: () => this.#forget(entry) },
      [dispose]: { value: unsubscribe },
    });
    return unsubscribe as Subscription;
  }

  #attach(entry: Entry): void {
    if (entry.number !== DETACHED || !entry.active) {
      return;
    }
    const machine = this.machine();
    const number = this.core.attempt(() => {
      const start = stageEntry(this.core, entry);
      return machine.handle_subscribe(this.host.now(), this.core.text(entry.pattern), start);
    });
    this.#deliveries.attach(entry, number);
    if (entry.options.durable !== undefined) {
      entry.handled = (update) => this.#handled(machine, number, update);
    }
    this.read(this.core.enter(() => machine.drain()));
    this.schedule();
  }

  #attachOrFail(entry: Entry): void {
    try {
      this.#attach(entry);
    } catch (error) {
      this.#drop(entry);
      this.queue(() => fail(entry, this.core.recover(error)));
      this.schedule();
    }
  }

  #setFlow(entry: Entry, flow: AnyFlow): void {
    const spec = flowSpec(flow);
    const machine = this.isStarted() ? this.machine() : undefined;
    if (machine !== undefined && entry.number !== DETACHED) {
      this.core.attempt(() => {
        stageFlow(this.core, spec);
        return machine.handle_flow(this.host.now(), entry.number);
      });
    }
    setFlow(entry, flow, spec);
    this.#mailbox.noteChange();
    if (machine !== undefined) {
      this.read(this.core.enter(() => machine.drain()));
      this.handOver();
    }
  }

  /**
   * The handler of a durable subscription has processed an update. Even for a subscription that ended with its topic,
   * the core counts what is left to be processed; but another machine doesn't know what this one has delivered.
   */
  #handled(machine: M, number: number, { topic, epoch, offset }: Update): void {
    if (this.#machine !== machine || !this.hasMachine()) {
      return;
    }
    const hub = machine as HubMachine as ClientHub;
    this.read(
      this.core.enter(() =>
        hub.handle_handled(this.host.now(), number, this.core.topicNumber(topic), epoch, offset),
      ),
    );
    this.schedule();
  }

  /** Ends a durable subscription for good. */
  #forget(entry: Entry): void {
    const number = entry.number;
    if (entry.active && entry.handled !== undefined && number !== DETACHED && this.hasMachine()) {
      const machine = this.machine() as HubMachine as ClientHub;
      this.read(this.core.enter(() => machine.handle_forget(this.host.now(), number)));
    }
    this.#cancel(entry);
  }

  /** Ends a subscription at its subscriber's request. */
  #cancel(entry: Entry): void {
    if (!entry.active) {
      return;
    }
    const number = entry.number;
    this.#drop(entry);
    if (number !== DETACHED && this.hasMachine()) {
      const machine = this.machine();
      this.read(this.core.enter(() => this.unsubscribe(machine, number)));
      this.handOver();
    }
  }

  /** Forgets a subscription, whose handler is not called any more. */
  #drop(entry: Entry): void {
    entry.active = false;
    this.#mailbox.noteChange();
    this.#detach(entry);
    if (entry.abort !== undefined) {
      entry.options.signal?.removeEventListener('abort', entry.abort);
    }
  }

  #detach(entry: Entry): void {
    this.#live.delete(entry);
    this.#deliveries.detach(entry);
  }

  /** Ends all subscriptions without notice. Iterators end. */
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

  /** Ends all subscriptions and frees the machine. */
  protected shutDown(): void {
    this.endAll();
    this.shutMachine();
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
      this.read(this.core.enter(() => machine[handle](this.host.now())));
    } catch (error) {
      report(this.core.recover(error));
    }
    this.handOver();
  }

  /** Reads the records of a call, queues what is due, and arms the timer. `published`: the slot of the call's publication. */
  protected read(count: number, published = -1): void {
    this.#deliveries.begin(published);
    let texts: string | undefined;
    let from = 0;
    const nextText = (length: number): string => {
      texts ??= this.core.told();
      from += length;
      return texts.slice(from - length, from);
    };
    this.core.forEachRecord(count, (row) => {
      if (row.kind === Kind.Note) {
        const note = JSON.parse(nextText(row.subject));
        if (!this.#deliveries.takeNote(note)) {
          this.takeNote(note);
        }
      } else if (row.kind === Kind.Send) {
        this.takeFrame(nextText(row.subject), row);
      } else if (row.kind === Kind.Post) {
        this.takePost(nextText(row.subject));
      } else if (!this.#deliveries.take(this.core, row)) {
        this.takeRow(row);
      }
    });
    if (this.#machine !== undefined) {
      const machine = this.#machine;
      this.#alarm.set(
        this,
        this.core.enter(() => machine.poll_timeout()),
      );
      this.#frames.want(this.core.enter(() => machine.wants_tick?.() ?? 0) !== 0);
    }
  }

  /** The unpaced subscriptions that got the publication in the records read last, in order. */
  protected reached(): readonly Entry[] {
    return this.#deliveries.reached;
  }

  /** The same as an audience. */
  protected audience(): Audience {
    return this.#mailbox.audience(this.reached());
  }

  /** Delivers an update to an audience, now. */
  protected handAll(audience: Audience, update: Update): void {
    this.#mailbox.handAll(audience, update);
  }

  /** Queues an update for several entries. */
  protected put(entries: readonly Entry[], update: Update): void {
    for (const entry of entries) {
      this.#mailbox.put(entry, entry.collects ? [update] : update);
    }
  }

  /** Queues a task, in order with the deliveries to handlers. */
  protected queue(task: () => void): void {
    this.#mailbox.putTask(task);
  }

  /** Delivers what is queued, soon. */
  protected schedule(): void {
    this.#mailbox.schedule();
  }

  /** Delivers what is queued, now. */
  protected handOver(): void {
    this.#mailbox.handOver();
  }
}
