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
  /** Whether a socket was lost: before there was a question, or since. */
  #hasLost = false;
  #wasOpen = false;
  #isAsked = false;
  #isOver = false;
  #said: string | undefined;
  #answer: Answer | undefined;
  #reason: string | undefined;

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

  /**
   * The socket was lost, here or where the connection is that this tab shares, and said this of it, if anything; or it is about to
   * be, as the server has refused the connection: then there is nothing to find out.
   */
  lost(said: string | undefined, wasOpen: boolean, isRefused = false): void {
    this.#said = said;
    if (isRefused) {
      return;
    }
    this.#hasLost = true;
    this.#wasOpen = wasOpen;
    this.#conclude();
  }

  /** A state with what is known of why: the same, where it has that already. */
  explain(state: TideState): TideState {
    if (state.status !== 'connecting' && state.status !== 'disconnected') {
      this.#isOver = true;
      this.#said = undefined;
      this.#reason = undefined;
      return state;
    }
    // An attempt may also have failed for want of a token, or of whoever has the connection.
    const isFailing = state.status === 'connecting' && state.attempt > 0 && this.#hasLost;
    if (isFailing && !this.#isAsked && !this.#isOver) {
      this.#isAsked = true;
      void this.#find();
    }
    const reason = this.#reason ?? this.#said;
    return reason === state.reason || reason === undefined ? state : { ...state, reason };
  }

  async #find(): Promise<void> {
    this.#hasLost = false;
    // Who has opened it knows more than an answer to another question tells.
    const asks = this.#asks && !(this.#wasOpen && this.#said);
    this.#answer = await (asks ? ask(this.#url) : { reason: this.#said, isReached: false });
    this.#conclude();
  }

  /** That somebody answers, of a server that has just started, proves nothing: the next socket does. */
  #conclude(): void {
    const { reason, isReached } = this.#answer ?? {};
    if (reason !== undefined && !this.#isOver && (!isReached || this.#hasLost)) {
      this.#answer = undefined;
      this.#reason = reason;
      this.#found(new TidegateError('unreachable', reason));
    }
  }
}

/** What comes of a question. */
interface Answer {
  readonly reason: string | undefined;
  /** Whether somebody has answered. */
  readonly isReached: boolean;
}

/** How a Tidegate tells an error over HTTP. */
interface Told {
  readonly error?: { readonly message?: string };
}

/** Asks the address of a WebSocket for none: what comes of it tells more than a handshake that fails. */
async function ask(socketUrl: string): Promise<Answer> {
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
    const why = cause?.message || 'nobody answers, or with no certificate that is trusted';
    return { reason: `cannot reach ${address}: ${why}`, isReached: false };
  }
  const { status } = response;
  if (!isOther && status !== UPGRADE_REQUIRED) {
    const told = (await response.json().catch(() => undefined)) as Told | undefined;
    const message = told?.error?.message;
    const reason = message ? `${address} refuses: ${message}` : `no Tidegate at ${address}: status ${status}`;
    return { reason, isReached: true };
  }
  const help =
    page &&
    ` from ${page}: start the server with --origin ${page}, or let proxies pass WebSockets on, unless it was just starting`;
  return { reason: `${address} answers, but takes no WebSocket${help ?? ''}`, isReached: true };
}
