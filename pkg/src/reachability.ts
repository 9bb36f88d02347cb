/** Why a connection does not stand, as far as it can be found out. When it is tried again is for the core to say. */

import { TidegateError } from './errors.js';
import type { TideState } from './tide-types.js';

/** What a server answers at the address of its WebSocket to a request for none. */
const UPGRADE_REQUIRED = 426;

/** @internal */
export class Reachability {
  readonly #url: string;
  readonly #asks: boolean;
  readonly #found: (error: TidegateError) => void;
  #isAsked = false;
  #isOver = false;
  #said: string | undefined;
  #answer: string | undefined;

  /**
   * @param asks whether the server may be asked over HTTP: a tab asks, and its worker, which nobody hears, does not.
   * @param found called once at most: no connection ever stood, for this reason, which belongs to the state from now on.
   */
  constructor(url: string, asks: boolean, found: (error: TidegateError) => void) {
    this.#url = url;
    // The package `ws` tells by itself.
    this.#asks = asks && 'WebSocket' in globalThis;
    this.#found = found;
  }

  /** The socket was lost, and said this of it, if anything. */
  lost(said: string | undefined): void {
    this.#said = said;
  }

  /** A state with what is known of why: the same, where it has that already. */
  explain(state: TideState): TideState {
    if (state.status !== 'connecting' && state.status !== 'disconnected') {
      this.#isOver = true;
      this.#said = undefined;
      this.#answer = undefined;
      return state;
    }
    if (state.status === 'connecting' && state.attempt > 0 && !this.#isAsked && !this.#isOver) {
      this.#isAsked = true;
      void this.#find();
    }
    const reason = this.#answer ?? this.#said;
    return reason === state.reason || reason === undefined ? state : { ...state, reason };
  }

  async #find(): Promise<void> {
    const answer = await (this.#asks ? ask(this.#url) : undefined);
    const reason = answer ?? this.#said;
    if (reason !== undefined && !this.#isOver) {
      this.#answer = answer;
      this.#found(new TidegateError('unreachable', reason));
    }
  }
}

/** How a Tidegate tells an error over HTTP. */
interface Told {
  readonly error?: { readonly message?: string };
}

/** Asks the address of a WebSocket for none: what comes of it tells more than a handshake that fails. */
async function ask(socketUrl: string): Promise<string> {
  const { origin, pathname } = new URL(socketUrl.replace(/^ws/, 'http'));
  const address = origin + pathname;
  const page = (globalThis as { origin?: string }).origin;
  // Of another origin, a page learns that somebody answers, and not what.
  const isOther = page !== undefined && page !== origin;
  let response: Response;
  try {
    const mode = isOther ? 'no-cors' : 'cors';
    response = await fetch(address, { mode, credentials: 'omit', cache: 'no-store' });
  } catch (error) {
    const { cause } = error as { cause?: { message?: string } };
    return `cannot reach ${address}: ${cause?.message || 'nobody answers, or with no certificate that is trusted'}`;
  }
  const { status } = response;
  if (!isOther && status !== UPGRADE_REQUIRED) {
    const told = (await response.json().catch(() => undefined)) as Told | undefined;
    const message = told?.error?.message;
    return message ? `${address} refuses: ${message}` : `no Tidegate at ${address}: status ${status}`;
  }
  const help =
    page && ` from ${page}: start the server with --origin ${page}, or let proxies pass WebSockets on`;
  return `${address} answers, but takes no WebSocket${help ?? ''}`;
}
