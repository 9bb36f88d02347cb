/** `connect`: one connection to a server, for everything in a page or a program that listens or publishes. */

import { dispose } from './dispose.js';
import { core, enter, isReady, onRestart, ready, recover, typedError } from './engine.js';
import { report, TidegateError } from './errors.js';
import { Encoded, FrameIntake, frameText, parseMessage } from './frames.js';
import { systemHost } from './host.js';
import { endCode } from './options.js';
import { Kind, type Row } from './records.js';
import { putSlot } from './slots.js';
import {
  findWebSocket,
  SUBPROTOCOL,
  socketUrl,
  type WebSocketConstructor,
  type WebSocketLike,
} from './socket.js';
import { Switchboard } from './switchboard.js';
import type {
  ConnectOptions,
  Listening,
  ListenOptions,
  Tide,
  TideEvents,
  TidePublishOptions,
  TideState,
} from './tide-types.js';
import { topicNumber } from './topics.js';
import type { Position } from './types.js';
import type { ClientHub } from './wasm/tidegate.js';

/** How often a connection may start afresh because the core broke, before it is given up. */
const RESTARTS_MAX = 8;

interface Request {
  resolve(position: Position): void;
  reject(error: TidegateError): void;
}

type PlainError = Parameters<typeof typedError>[0];

interface StateNote {
  readonly note: 'state';
  readonly state: TideState['status'];
  readonly attempt?: number;
  readonly error?: PlainError;
}

interface FailedNote {
  readonly note: 'failed';
  readonly request: number;
  readonly error: PlainError;
}

class Connection extends Switchboard<ClientHub, StateNote | FailedNote> {
  readonly #url: string;
  readonly #options: ConnectOptions;
  #WebSocket: WebSocketConstructor | undefined;
  #state: TideState = { status: 'connecting', attempt: 0 };
  #isStarted = false;
  /** What waits for the core to be loaded. */
  readonly #early: (() => void)[] = [];
  #link = 0;
  #socket: WebSocketLike | undefined;
  #intake = new FrameIntake();
  #outgoing: string[] = [];
  readonly #requests = new Map<number, Request>();
  readonly #listeners = {
    state: new Set<(e: TideState) => void>(),
    error: new Set<(e: TidegateError) => void>(),
  };
  #restarts = 0;
  #forgetRestarts: (() => void) | undefined;

  constructor(url: string | URL, options: ConnectOptions) {
    super(options.host ?? systemHost);
    this.#url = socketUrl(url);
    this.#options = options;
    this.#WebSocket = options.WebSocket;
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
      const { wasm } = this.#options;
      if (wasm !== undefined || !isReady()) {
        await ready(wasm === undefined ? {} : { wasm });
      }
      this.#WebSocket ??= await findWebSocket();
    } catch (error) {
      this.#giveUp(recover(error));
      return;
    }
    if (this.#state.status === 'closed') {
      return;
    }
    this.#isStarted = true;
    this.#forgetRestarts = onRestart(() => this.#restart());
    this.#attempt(() => {
      this.machine();
      for (const task of this.#early.splice(0)) {
        task();
      }
    });
  }

  /** The core broke, here or elsewhere in the page: everything of the old one is void. */
  #restart(): void {
    this.#restarts += 1;
    this.#dropSocket();
    if (this.#restarts > RESTARTS_MAX) {
      this.#giveUp(new TidegateError('internal', 'the core broke too often; the connection was given up'));
    } else {
      this.#attempt(() => this.machine());
    }
  }

  protected override isStarted(): boolean {
    if (this.#state.status === 'closed') {
      throw new TidegateError('closed', 'this connection was closed');
    }
    return this.#isStarted;
  }

  protected override make(): ClientHub {
    const { token, client } = this.#options;
    return new (core().ClientHub)(this.host.random(), token, client);
  }

  protected override start(machine: ClientHub): void {
    this.#intake = new FrameIntake();
    this.#dropSocket();
    const lost = new TidegateError('internal', 'the core broke while the publish was on its way');
    for (const request of this.#requests.values()) {
      this.queue(() => request.reject(lost));
    }
    this.#requests.clear();
    this.read(enter(() => machine.handle_connect(this.host.now())));
    this.schedule();
  }

  protected override unsubscribe(machine: ClientHub, subscription: number): number {
    return machine.handle_unsubscribe(this.host.now(), subscription);
  }

  /** Reads what a call left, and sends what it wants sent: all in one message. */
  protected override read(count: number): void {
    super.read(count);
    const frames = this.#outgoing;
    if (frames.length > 0) {
      this.#outgoing = [];
      this.#socket?.send(frames.length === 1 ? frames[0]! : `[${frames.join()}]`);
    }
  }

  protected override takeRow(row: Row): void {
    const link = row.subject;
    switch (row.kind) {
      case Kind.Connect:
        this.queue(() => this.#open(link));
        break;
      case Kind.Disconnect:
        this.queue(() => this.#close(link));
        break;
      case Kind.Published: {
        const position = { epoch: row.epoch, offset: row.offset };
        this.#answer(row.subject, (request) => request.resolve(position));
        break;
      }
    }
  }

  protected override takeFrame(json: string, slot: number): void {
    this.#outgoing.push(frameText(json, slot));
  }

  protected override takeNote(note: StateNote | FailedNote): void {
    switch (note.note) {
      case 'state':
        this.#setState(stateOf(note));
        break;
      case 'failed':
        this.#answer(note.request, (request) => request.reject(typedError(note.error)));
        break;
    }
  }

  #answer(number: number, answer: (request: Request) => void): void {
    const request = this.#requests.get(number);
    if (request !== undefined) {
      this.#requests.delete(number);
      this.queue(() => answer(request));
    }
  }

  #setState(state: TideState): void {
    this.#state = state;
    this.queue(() => this.#emit('state', state));
    if (state.status === 'closed') {
      this.#options.signal?.removeEventListener('abort', this.#abort);
      this.queue(() => {
        this.#forgetRestarts?.();
        this.shutDown();
      });
    }
  }

  #open(link: number): void {
    this.#dropSocket();
    const lost = (): void => this.#tell(link, (hub) => hub.handle_closed(this.host.now(), link));
    let socket: WebSocketLike;
    try {
      socket = new this.#WebSocket!(this.#url, SUBPROTOCOL);
    } catch (error) {
      this.#emit('error', new TidegateError('no_websocket', String(error), { cause: error }));
      this.#link = link;
      queueMicrotask(lost);
      return;
    }
    this.#link = link;
    this.#socket = socket;
    socket.addEventListener('open', () =>
      this.#tell(link, (hub) => hub.handle_opened(this.host.now(), link)),
    );
    socket.addEventListener('message', (event) => this.#receive(link, event.data));
    socket.addEventListener('close', lost);
    // An error is always followed by a close; without a listener some implementations throw it.
    socket.addEventListener('error', () => {});
  }

  /** Tells the core what happened to a socket, unless another one has taken its place. */
  #tell(link: number, call: (hub: ClientHub) => number): void {
    if (link === this.#link && this.hasMachine()) {
      this.#attempt(() => {
        const hub = this.machine();
        this.read(enter(() => call(hub)));
      });
    }
  }

  #receive(link: number, text: unknown): void {
    if (link !== this.#link || !this.hasMachine()) {
      return;
    }
    this.#attempt(() => {
      const hub = this.machine();
      for (const frame of parseMessage(text)) {
        // A frame that is not understood is reported, and does not stop those after it.
        this.#attempt(() => this.read(this.#intake.take(hub, this.host.now(), link, frame)), false);
      }
    });
  }

  /** Runs a call into the core; what goes wrong is an event, as nobody asked. */
  #attempt(call: () => void, handsOver = true): void {
    try {
      call();
    } catch (error) {
      const typed = recover(error);
      this.queue(() => this.#emit('error', typed));
    }
    if (handsOver) {
      this.handOver();
    }
  }

  #close(link: number): void {
    if (link === this.#link) {
      this.#dropSocket();
    }
  }

  #dropSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#link = 0;
    socket?.close(1000);
  }

  on<E extends keyof TideEvents>(
    event: E,
    listener: (event: TideEvents[E]) => void,
    { signal }: ListenOptions = {},
  ): Listening {
    const listeners = this.#listeners[event] as Set<(event: TideEvents[E]) => void>;
    const stop = (): void => {
      listeners.delete(listener);
      signal?.removeEventListener('abort', stop);
    };
    if (!signal?.aborted) {
      listeners.add(listener);
      signal?.addEventListener('abort', stop, { once: true });
    }
    return Object.assign(stop, { [dispose]: stop });
  }

  #emit<E extends keyof TideEvents>(event: E, value: TideEvents[E]): void {
    for (const listener of [...this.#listeners[event]] as ((event: TideEvents[E]) => void)[]) {
      try {
        listener(value);
      } catch (error) {
        report(error);
      }
    }
  }

  publish(topic: string, data: unknown, options: TidePublishOptions = {}): Promise<Position> {
    const published = new Promise<Position>((resolve, reject) => {
      const isStarted = this.isStarted();
      const encoded = encode(data);
      const { signal } = options;
      if (signal?.aborted) {
        throw aborted(signal);
      }
      const abort = (): void => reject(aborted(signal!));
      signal?.addEventListener('abort', abort, { once: true });
      const settled = (): void => signal?.removeEventListener('abort', abort);
      const request: Request = {
        resolve: (position) => {
          settled();
          resolve(position);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      if (isStarted) {
        this.#publish(topic, encoded, options, request);
      } else {
        this.#early.push(() => this.#publish(topic, encoded, options, request));
      }
    });
    // Whoever awaits it is told all the same. Whoever does not must not see the program end for it.
    published.catch(() => {});
    return published;
  }

  #publish(topic: string, encoded: Encoded, options: TidePublishOptions, request: Request): void {
    try {
      const hub = this.machine();
      const number = enter(() => {
        const topicId = topicNumber(topic);
        const slot = putSlot(encoded);
        const end = endCode(options.end);
        return hub.handle_publish(this.host.now(), topicId, slot, end, options.id, options.restart ?? false);
      });
      this.#requests.set(number, request);
      this.read(enter(() => hub.drain()));
      this.handOver();
    } catch (error) {
      request.reject(recover(error));
    }
  }

  readonly #abort = (): void => this.close();

  close(): void {
    if (this.#state.status === 'closed') {
      return;
    }
    if (this.#isStarted) {
      this.#attempt(() => {
        this.endAll();
        const hub = this.machine();
        this.read(enter(() => hub.handle_disconnect(this.host.now())));
      });
    }
    this.#giveUp(undefined);
  }

  /** Nothing more will come: everybody who waits is told. */
  #giveUp(error: TidegateError | undefined): void {
    this.#dropSocket();
    if (error === undefined) {
      this.endAll();
    } else {
      this.failAll(error);
    }
    const reason = error ?? new TidegateError('closed', 'this connection was closed');
    for (const request of this.#requests.values()) {
      this.queue(() => request.reject(reason));
    }
    this.#requests.clear();
    if (this.#state.status !== 'closed') {
      this.#setState(error === undefined ? { status: 'closed' } : { status: 'closed', error });
    }
    for (const task of this.#early.splice(0)) {
      task();
    }
    this.handOver();
  }

  [dispose](): void {
    this.close();
  }
}

function stateOf(note: StateNote): TideState {
  switch (note.state) {
    case 'connecting':
      return { status: 'connecting', attempt: note.attempt ?? 0 };
    case 'closed':
      return note.error === undefined
        ? { status: 'closed' }
        : { status: 'closed', error: typedError(note.error) };
    default:
      return { status: note.state };
  }
}

function encode(data: unknown): Encoded {
  try {
    return new Encoded(data);
  } catch (cause) {
    throw new TidegateError('bad_data', `the data can't be published, as it is no JSON: ${String(cause)}`, {
      cause,
    });
  }
}

function aborted(signal: AbortSignal): TidegateError {
  return new TidegateError('aborted', 'the publish was given up', { cause: signal.reason });
}

/**
 * Connects to the server at `url`: `http://host:8420`, `wss://host/base`, or relative to the page. It returns at once;
 * what is subscribed and published meanwhile waits.
 *
 * @throws {@link TidegateError} with code `bad_option`, if `url` is no address.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Tide {
  return new Connection(url, options) as Tide;
}
