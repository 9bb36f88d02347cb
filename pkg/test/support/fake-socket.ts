import type { WebSocketLike } from 'tidegate';

type Listener = (event: { readonly data: unknown }) => void;

/** A WebSocket whose other end is the test. */
export class FakeSocket implements WebSocketLike {
  static readonly made: FakeSocket[] = [];
  readonly sent: Record<string, unknown>[] = [];
  /** The messages that contained the frames, as they were sent. */
  readonly messages: string[] = [];
  closed = false;
  readonly #listeners = new Map<string, Listener[]>();

  constructor(
    readonly url: string,
    readonly protocol?: string | string[],
  ) {
    FakeSocket.made.push(this);
  }

  /** The socket that was opened last. */
  static get last(): FakeSocket {
    return FakeSocket.made.at(-1)!;
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(text: string): void {
    this.messages.push(text);
    const message = JSON.parse(text) as Record<string, unknown> | Record<string, unknown>[];
    this.sent.push(...(Array.isArray(message) ? message : [message]));
  }

  close(): void {
    this.closed = true;
  }

  /** The frames sent since this was last called. */
  take(): Record<string, unknown>[] {
    return this.sent.splice(0);
  }

  /** Lets the handshake succeed, without a first frame. */
  accept(): void {
    this.#fire('open');
  }

  open(): void {
    this.accept();
    this.receive({ type: 'welcome', heartbeat_ms: 25_000, session: 's1' });
  }

  receive(...frames: object[]): void {
    this.#fire('message', { data: JSON.stringify(frames.length === 1 ? frames[0] : frames) });
  }

  receiveText(text: string): void {
    this.#fire('message', { data: text });
  }

  break(event: { readonly code?: number; readonly reason?: string } = {}): void {
    this.#fire('close', { data: undefined, ...event });
  }

  #fire(type: string, event: { data: unknown } = { data: undefined }): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      listener(event);
    }
  }
}
