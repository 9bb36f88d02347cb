/** Finds out why there is no connection. The core decides when to try again. */

import { TidegateError } from './errors.js';
import type { TideState } from './tide-types.js';

/** The status with which a Tidegate answers a plain request to the address of its WebSocket. */
const UPGRADE_REQUIRED = 426;

/** @internal */
export class Reachability {
  readonly #url: string;
  readonly #asks: boolean;
  readonly #found: (error: TidegateError) => void;
  /** Whether a socket was lost: before the server was asked, or since then. */
  #hasLost = false;
  #wasOpen = false;
  #isAsked = false;
  #isOver = false;
  #said: string | undefined;
  #answer: Answer | undefined;
  #reason: string | undefined;

  /**
   * @param asks whether the server may be asked over HTTP: a tab does, but not the worker, which has nobody to report
   * to.
   * @param found called at most once, with the reason why there has never been a connection. States carry it from then
   * on.
   */
  constructor(url: string, asks: boolean, found: (error: TidegateError) => void) {
    this.#url = url;
    // The sockets of the package `ws` report the reason themselves.
    this.#asks = asks && 'WebSocket' in globalThis;
    this.#found = found;
  }

  /**
   * The socket was lost, in this tab or in the one that holds the shared connection. `said` is the reason, if it gave
   * one. With `isRefused`, the server has refused the connection and is about to close it: there is nothing to find
   * out.
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

  /** Adds the known reason to a state; the same object if there is nothing to add. */
  explain(state: TideState): TideState {
    if (state.status !== 'connecting' && state.status !== 'disconnected') {
      this.#isOver = true;
      this.#said = undefined;
      this.#reason = undefined;
      return state;
    }
    // Without a lost socket, an attempt failed for another reason, such as a missing token or leader.
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
    // A socket that was open and gave a reason knows more than an HTTP request could find out.
    const asks = this.#asks && !(this.#wasOpen && this.#said);
    this.#answer = await (asks ? ask(this.#url) : { reason: this.#said, isReached: false });
    this.#conclude();
  }

  /** Concludes, unless the server answered and no socket has failed since: it may just have started. */
  #conclude(): void {
    const { reason, isReached } = this.#answer ?? {};
    if (reason !== undefined && !this.#isOver && (!isReached || this.#hasLost)) {
      this.#answer = undefined;
      this.#reason = reason;
      this.#found(new TidegateError('unreachable', reason));
    }
  }
}

/** The result of asking the server. */
interface Answer {
  readonly reason: string | undefined;
  /** Whether somebody has answered. */
  readonly isReached: boolean;
}

/** The body of an error that a Tidegate answers over HTTP. */
interface Told {
  readonly error?: { readonly message?: string };
}

/** Makes a plain request to the address of the WebSocket: its result tells more than a failed handshake. */
async function ask(socketUrl: string): Promise<Answer> {
  const { origin, pathname } = new URL(socketUrl.replace(/^ws/, 'http'));
  const address = origin + pathname;
  const page = (globalThis as { origin?: string }).origin;
  // A page only learns that another origin answers, not what.
  const isOther = page !== undefined && page !== origin;
  let response: Response;
  try {
    const mode = isOther ? 'no-cors' : 'cors';
    response = await fetch(address, { mode, credentials: 'omit', cache: 'no-store' });
  } catch (error) {
    const { cause } = error as { cause?: { message?: string } };
    const why = cause?.message || 'nobody answers, or its certificate is not trusted';
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
    ` from ${page}: start the server with --origin ${page}, or let proxies forward WebSockets, unless it was just starting`;
  return { reason: `${address} answers, but accepts no WebSocket${help ?? ''}`, isReached: true };
}
