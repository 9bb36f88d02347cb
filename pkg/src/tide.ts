/** One connection to a server, for everything in a page or a program that listens or publishes. */

import type { Core } from './core.js';
import { dispose } from './dispose.js';
import { TidegateError, typed, typedError } from './errors.js';
import { frameText } from './frames.js';
import { Listeners } from './listeners.js';
import type { TabHub } from './machines.js';
import { checkSignal } from './options.js';
import { type PresenceNote, Presences } from './presence.js';
import type { TopicPresence } from './presence-types.js';
import { Publishing } from './publishing.js';
import { Reachability } from './reachability.js';
import { Reception } from './reception.js';
import { Kind, type Row } from './records.js';
import { Restarts } from './restarts.js';
import { findWebSocket, socketUrl, type WebSocketConstructor } from './socket.js';
import { type FailedNote, type KeyNote, type StateNote, stateOf, type TokenNote } from './state.js';
import { Switchboard } from './switchboard.js';
import { isTabsNote, type TabsNote } from './tabs/group.js';
import type { TabsPart } from './tabs/membership.js';
import { onceOnline } from './tabs/reachable.js';
import { hostOf, Sharing } from './tabs/sharing.js';
import type {
  ConnectOptions,
  Listening,
  ListenOptions,
  TideEvents,
  TidePublishOptions,
  TideState,
} from './tide-types.js';
import { Transport } from './transport.js';
import type { Position } from './types.js';

type Note = StateNote | FailedNote | KeyNote | TokenNote | PresenceNote | TabsNote;

/** @internal */
export class Connection extends Switchboard<TabHub, Note> {
  readonly #options: ConnectOptions;
  #WebSocket: WebSocketConstructor | undefined;
  #state: TideState = { status: 'connecting', attempt: 0 };
  #isStarted = false;
  /** Whether a received message is still being processed: what is to be sent waits until it is done. */
  #isTaking = false;
  readonly #transport: Transport;
  readonly #reception = new Reception({
    now: () => this.host.now(),
    hub: () => super.machine(),
    read: (count, published) => this.read(count, published),
    reached: () => this.reached(),
    audience: () => this.audience(),
    handAll: (audience, update) => this.handAll(audience, update),
    put: ({ entries }, update) => this.put(entries, update),
    refused: (reason) => this.#lose(reason, true, true),
    failed: (thrown) => this.#fail(thrown),
  });
  readonly #publishing = new Publishing({
    isStarted: () => this.isStarted(),
    hub: () => this.machine(),
    now: () => this.host.now(),
    published: (hub) => {
      this.read(this.core.enter(() => hub.drain()));
      this.handOver();
    },
    recover: (thrown) => this.core.recover(thrown),
    queue: (task) => this.queue(task),
    crowded: (error) => this.queue(() => this.#listeners.tell(error)),
  });
  readonly #listeners = new Listeners();
  readonly #presences = new Presences({
    isStarted: () => this.isStarted(),
    call: (act) => this.#call(act),
    slotValue: (slot) => this.core.slots.value(slot),
    recover: (thrown) => this.core.recover(thrown),
    queue: (task) => {
      this.queue(task);
      this.schedule();
    },
  });
  readonly #reachability: Reachability;
  readonly #sharing: Sharing;
  readonly #restarts = new Restarts();
  #forgetRestarts: (() => void) | undefined;

  constructor(url: string | URL, options: ConnectOptions, part: TabsPart) {
    super(hostOf(options));
    checkSignal(options.signal);
    const address = socketUrl(url);
    this.#options = options;
    this.#WebSocket = options.WebSocket;
    this.#transport = new Transport(address, {
      opened: (link) => this.#handle((hub, now) => hub.handle_opened(now, link)),
      lost: (reason, wasOpen) => this.#lose(reason, wasOpen),
      closed: (link) => this.#handle((hub, now) => hub.handle_closed(now, link)),
      received: (link, text) => this.#takeTogether(() => this.#reception.receive(link, text)),
      failed: (error) => this.#listeners.emit('error', error),
    });
    const mayProbe = options.WebSocket === undefined && part.membership === undefined;
    this.#reachability = new Reachability(address, mayProbe, (error) => this.#reportUnreachable(error));
    this.#sharing = new Sharing(
      address,
      options,
      {
        tell: (call) => this.#handle(call),
        heard: (messages) => this.#takeTogether(() => this.#reception.hear(messages)),
        failed: (error) => this.#listeners.emit('error', error),
        over: (error) => this.#giveUp(error),
        lost: (reason, isRefused) => this.#reachability.lost(reason, reason !== undefined, isRefused),
        changed: (core) => this.#moveOver(core),
      },
      part,
    );
    if (options.signal?.aborted) {
      this.#state = { status: 'closed' };
      return;
    }
    options.signal?.addEventListener('abort', this.#abort, { once: true });
    void this.#begin();
  }

  get state(): TideState {
    return this.#state;
  }

  async #begin(): Promise<void> {
    try {
      const core = this.#sharing.findCore();
      this.core = core instanceof Promise ? await core : core;
      this.#WebSocket ??= await findWebSocket();
    } catch (error) {
      this.#failToBegin(typed(error, 'internal', 'the connection could not be started'));
      return;
    }
    if (this.#state.status === 'closed') {
      return;
    }
    this.#isStarted = true;
    this.#sharing.join();
    this.#forgetRestarts = this.core.onRestart(() => this.#restart());
    this.#attempt(() => {
      this.machine();
      this.#publishing.begin();
    });
  }

  /** If the core could not be loaded because the browser is offline, waits for the network; otherwise, gives up. */
  #failToBegin(error: TidegateError): void {
    const isWanted = this.#state.status !== 'closed' && error.code === 'load_failed';
    if (isWanted && onceOnline(() => void this.#begin())) {
      this.#setState({ status: 'connecting', attempt: 0, reason: error.message });
      this.handOver();
    } else {
      this.#giveUp(error);
    }
  }

  /** Moves subscriptions, presences and publishes over to another core, which another way of sharing needs. */
  #moveOver(core: Core): void {
    this.#attempt(() => this.#call((hub, now) => hub.handle_move(now)), false);
    this.#attempt(() =>
      this.#publishing.moveOver(() => {
        this.shutMachine();
        this.#forgetRestarts?.();
        this.core = core;
        this.#forgetRestarts = core.onRestart(() => this.#restart());
        this.machine();
      }),
    );
  }

  /** The core broke, here or elsewhere in the page, and was restarted: nothing that it knew is left. */
  #restart(): void {
    this.#transport.drop();
    if (this.#restarts.allow(this.host.now())) {
      this.#attempt(() => this.machine());
    } else {
      this.#giveUp(new TidegateError('internal', 'the core crashed too often; the connection was closed'));
    }
  }

  protected override isStarted(): boolean {
    if (this.#state.status === 'closed') {
      throw new TidegateError('closed', 'this connection was closed');
    }
    return this.#isStarted;
  }

  protected override make(): TabHub {
    return this.#sharing.makeHub(this.core, () => this.host.random());
  }

  protected override start(machine: TabHub): void {
    this.#flush();
    this.#reception.clear();
    this.#transport.drop();
    this.#publishing.requests.rejectAll(new TidegateError('internal', 'the core crashed before the answer'));
    this.#sharing.begin((page) =>
      this.read(this.core.enter(() => machine.handle_page(this.host.now(), page))),
    );
    this.read(this.core.enter(() => machine.handle_connect(this.host.now())));
    this.#presences.start();
    this.schedule();
  }

  protected override unsubscribe(machine: TabHub, subscription: number): number {
    return machine.handle_unsubscribe(this.host.now(), subscription);
  }

  /** The machine, after it has been told what was handed on under licences. */
  protected override machine(): TabHub {
    const hub = super.machine();
    this.#reception.tell(hub);
    return hub;
  }

  /** Reads the records of a call, and sends the frames among them, unless a message is still being processed. */
  protected override read(count: number, published?: number): void {
    super.read(count, published);
    if (!this.#isTaking) {
      this.#flush();
    }
  }

  #flush(): void {
    this.#sharing.flush();
    this.#transport.flush();
  }

  /** Calls what is due: handlers, locks, workers and sockets. Frames from before leave first. */
  protected override handOver(): void {
    this.#flush();
    super.handOver();
  }

  protected override takeRow(row: Row): void {
    const link = row.subject;
    switch (row.kind) {
      case Kind.Connect:
        this.queue(() => this.#transport.open(link, this.#WebSocket!));
        break;
      case Kind.Disconnect:
        this.queue(() => this.#transport.close(link));
        break;
      case Kind.Published:
        this.#publishing.requests.resolve(row.subject, { epoch: row.epoch, offset: row.offset });
        break;
      case Kind.Data:
        this.#sharing.addData(row.slot);
        break;
      default:
        this.#reception.takeRow(row);
    }
  }

  protected override takeFrame(json: string, { slot, end: beginsMessage }: Row): void {
    this.#transport.send(frameText(json, this.core.slots, slot), beginsMessage !== 0);
  }

  protected override takePost(text: string): void {
    this.#sharing.post(text, this.core.slots);
  }

  protected override takeNote(note: Note): void {
    switch (note.note) {
      case 'state':
        this.#setState(stateOf(note));
        break;
      case 'failed':
        this.#publishing.fail(note.request, typedError(note.error));
        break;
      case 'key':
        this.#publishing.requests.noteKey(note.request, note.id);
        break;
      case 'token':
        this.queue(() => this.#sharing.answer(note.request));
        break;
      default:
        if (isTabsNote(note)) {
          this.queue(() => this.#sharing.take(note));
        } else {
          this.#presences.take(note);
        }
    }
  }

  /** The socket was lost, or the server refused it. The tabs that share it are told why: they only see it reconnect. */
  #lose(reason: string | undefined, wasOpen: boolean, isRefused = false): void {
    this.#reachability.lost(reason, wasOpen, isRefused);
    this.#sharing.sayLost(wasOpen ? reason : undefined, isRefused);
  }

  #reportUnreachable(error: TidegateError): void {
    if (this.#reachability.explain(this.#state) !== this.#state) {
      this.#setState(this.#state);
    }
    this.queue(() => this.#listeners.tell(error));
    this.handOver();
  }

  #setState(told: TideState): void {
    const state = this.#reachability.explain(told);
    this.#state = state;
    this.queue(() => this.#listeners.emit('state', state));
    if (state.status === 'closed') {
      this.#options.signal?.removeEventListener('abort', this.#abort);
      this.queue(() => {
        this.#forgetRestarts?.();
        this.shutDown();
        this.#sharing.close();
      });
    }
  }

  /** Tells the core of an event. Errors are emitted as events: there is no caller to throw to. */
  #handle(call: (hub: TabHub, nowMs: number) => number): void {
    this.#attempt(() => this.#call(call));
  }

  /** Processes all frames of a message before anything is sent, so that the answers leave in one message, too. */
  #takeTogether(take: () => void): void {
    if (this.hasMachine()) {
      this.#isTaking = true;
      this.#attempt(take);
    }
  }

  /** Calls the hub, if there is one; handlers are called soon. */
  #call(act: (hub: TabHub, nowMs: number) => number): void {
    if (this.hasMachine()) {
      const hub = this.machine();
      this.read(this.core.enter(() => act(hub, this.host.now())));
      this.schedule();
    }
  }

  /** Runs a call into the core. Errors are emitted as events: there is no caller to throw to. */
  #attempt(call: () => void, handsOver = true): void {
    try {
      call();
    } catch (thrown) {
      this.#fail(thrown);
    }
    if (handsOver) {
      this.#isTaking = false;
      this.handOver();
    }
  }

  #fail(thrown: unknown): void {
    const error = this.core.recover(thrown);
    this.queue(() => this.#listeners.emit('error', error));
  }

  on<E extends keyof TideEvents>(
    event: E,
    listener: (event: TideEvents[E]) => void,
    options?: ListenOptions,
  ): Listening {
    return this.#listeners.on(event, listener, options);
  }

  presence(topic: string): TopicPresence {
    return this.#presences.of(topic);
  }

  publish(topic: string, data: unknown, options?: TidePublishOptions): Promise<Position> {
    return this.#publishing.publish(topic, data, options ?? {});
  }

  readonly #abort = (): void => this.close();

  close(): void {
    if (this.#state.status !== 'closed') {
      this.#giveUp(undefined);
    }
  }

  /** Ends everything that the application waits for, and then, unless this is a failure, the core's connection. */
  #giveUp(error: TidegateError | undefined): void {
    if (error === undefined) {
      this.endAll();
    } else {
      this.failAll(error);
    }
    this.#presences.end(error);
    this.#publishing.end(error ?? new TidegateError('closed', 'this connection was closed'));
    if (error === undefined) {
      this.#handle((hub, now) => hub.handle_disconnect(now));
    }
    this.#transport.drop();
    if (this.#state.status !== 'closed') {
      this.#setState(error === undefined ? { status: 'closed' } : { status: 'closed', error });
    }
    this.handOver();
  }

  [dispose](): void {
    this.close();
  }
}
