/** The socket that the core asked for last. What an earlier one still says is nothing any more. */

import { TidegateError } from './errors.js';
import { SUBPROTOCOL, type WebSocketConstructor, type WebSocketLike } from './socket.js';

/** @internal */
export interface TransportEvents {
  opened(link: number): void;
  closed(link: number): void;
  received(link: number, text: unknown): void;
  /** There is no socket to be had; `closed` follows. */
  failed(error: TidegateError): void;
}

/** @internal */
export class Transport {
  readonly #url: string;
  readonly #events: TransportEvents;
  #link = 0;
  #socket: WebSocketLike | undefined;
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
    const lost = (): void => ifCurrent(() => this.#events.closed(link));
    let socket: WebSocketLike;
    try {
      socket = new WebSocket(this.#url, SUBPROTOCOL);
    } catch (error) {
      this.#events.failed(new TidegateError('no_websocket', String(error), { cause: error }));
      queueMicrotask(lost);
      return;
    }
    this.#socket = socket;
    socket.addEventListener('open', () => ifCurrent(() => this.#events.opened(link)));
    socket.addEventListener('message', ({ data }) => {
      if (link === this.#link) {
        this.#events.received(link, data);
      }
    });
    socket.addEventListener('close', lost);
    // An error is always followed by a close; without a listener some implementations throw it.
    socket.addEventListener('error', () => {});
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
      this.drop();
    }
  }

  drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#link = 0;
    socket?.close(1000);
  }
}
