/** The socket that the core asked for last. What an earlier one still says is nothing any more. */

import { TidegateError } from './errors.js';
import { SUBPROTOCOL, type WebSocketConstructor, type WebSocketLike } from './socket.js';

/** @internal */
export interface TransportEvents {
  opened(link: number): void;
  /**
   * Why a socket closes, as far as the platform tells, and whether it was open; `closed` follows, unless the core has given it
   * up before it opened.
   */
  lost(reason: string | undefined, wasOpen: boolean): void;
  closed(link: number): void;
  received(link: number, text: unknown): void;
  /** There is no socket to be had; `closed` follows. */
  failed(error: TidegateError): void;
}

/** What a socket may tell of its end: the code and the reason of a close, the message of an error or its code. */
interface SocketEvent {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly error?: { readonly code?: string };
}

/** What the platform tells of an open socket that was closed. */
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
  /** Messages of frames. */
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
    // The code of a handshake that failed is always the same.
    socket.addEventListener('close', (event?: SocketEvent) =>
      lost(failure ?? (this.#isOpen ? closing(event) : undefined)),
    );
    // An error is always followed by a close; without a listener some implementations throw it.
    socket.addEventListener('error', (event?: SocketEvent) => {
      failure = event?.message || event?.error?.code;
    });
  }

  /** Sends a frame with the next `flush`: in a message that it begins, or in that of the frame before it. */
  send(frame: string, beginsMessage: boolean): void {
    if (beginsMessage) {
      this.#outgoing.push([frame]);
    } else {
      this.#outgoing.at(-1)!.push(frame);
    }
  }

  /** Sends what is to be sent. */
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
