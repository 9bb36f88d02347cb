/** The socket that the core asked for last. Events of earlier ones are ignored. */

import { TidegateError } from './errors.js';
import { SUBPROTOCOL, type WebSocketConstructor, type WebSocketLike } from './socket.js';

/** @internal */
export interface TransportEvents {
  opened(link: number): void;
  /**
   * Why a socket closes, if the platform says, and whether it was open. `closed` follows, unless the core has given the
   * socket up before it opened.
   */
  lost(reason: string | undefined, wasOpen: boolean): void;
  closed(link: number): void;
  received(link: number, text: unknown): void;
  /** A socket could not be made; `closed` follows. */
  failed(error: TidegateError): void;
}

/**
 * What a socket's events may say of its end: the code and the reason of a close, or the message or the code of an
 * error.
 */
interface SocketEvent {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly error?: { readonly code?: string };
}

/** The text for the close of a socket that was open. */
function closing({ code, reason }: SocketEvent = {}): string | undefined {
  return code === undefined ? undefined : `closed with code ${code}${reason ? `: ${reason}` : ''}`;
}

/** @internal */
export class Transport {
  readonly #url: string;
  readonly #events: TransportEvents;
  #link = 0;
  #socket: WebSocketLike | undefined;
  #isOpen = false;
  /** The frames to be sent, by message. */
  #outgoing: string[][] = [];

  constructor(url: string, events: TransportEvents) {
    this.#url = url;
    this.#events = events;
  }

  open(link: number, WebSocket: WebSocketConstructor): void {
    this.drop();
    this.#link = link;
    const ifCurrent = (tell: () => void): void => {
      if (link === this.#link) {
        tell();
      }
    };
    const lost = (reason?: string): void =>
      ifCurrent(() => {
        this.#events.lost(reason, this.#isOpen);
        this.#events.closed(link);
      });
    let socket: WebSocketLike;
    try {
      socket = new WebSocket(this.#url, SUBPROTOCOL);
    } catch (error) {
      this.#events.failed(new TidegateError('no_websocket', String(error), { cause: error }));
      queueMicrotask(() => lost(String(error)));
      return;
    }
    this.#socket = socket;
    let failure: string | undefined;
    socket.addEventListener('open', () => {
      ifCurrent(() => {
        this.#isOpen = true;
        this.#events.opened(link);
      });
    });
    socket.addEventListener('message', ({ data }) => {
      if (link === this.#link) {
        this.#events.received(link, data);
      }
    });
    // A failed handshake always has the same code, which says nothing.
    socket.addEventListener('close', (event?: SocketEvent) =>
      lost(failure ?? (this.#isOpen ? closing(event) : undefined)),
    );
    // An error is always followed by a close. Some implementations throw it if there is no listener.
    socket.addEventListener('error', (event?: SocketEvent) => {
      failure = event?.message || event?.error?.code;
    });
  }

  /** Queues a frame for the next `flush`: in a new message, or in that of the frame before it. */
  send(frame: string, beginsMessage: boolean): void {
    if (beginsMessage) {
      this.#outgoing.push([frame]);
    } else {
      this.#outgoing.at(-1)!.push(frame);
    }
  }

  /** Sends what is queued. */
  flush(): void {
    const messages = this.#outgoing;
    if (messages.length > 0) {
      this.#outgoing = [];
      for (const frames of messages) {
        this.#socket?.send(frames.length === 1 ? frames[0]! : `[${frames.join()}]`);
      }
    }
  }

  close(link: number): void {
    if (link === this.#link) {
      if (!this.#isOpen) {
        this.#events.lost(undefined, false);
      }
      this.drop();
    }
  }

  drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#link = 0;
    this.#isOpen = false;
    socket?.close(1000);
  }
}
