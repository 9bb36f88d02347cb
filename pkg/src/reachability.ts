/** Finds out why there is no connection. The core decides when to try again. */

import { TidegateError } from './errors.js';
import type { TideState } from './tide-types.js';

/** The status with which a Tidegate answers a plain request to the address of its WebSocket. */
const UPGRADE_REQUIRED = 426;

/** @internal */
export class Reachability {
  readonly #url: string;
  readonly #mayProbe: boolean;
  readonly #onFound: (error: TidegateError) => void;
  /** Whether a socket was lost: before the server was asked, or since then. */
  #hasLost = false;
  #wasOpen = false;
  #isProbed = false;
  #isOver = false;
  #closeReason: string | undefined;
  #answer: Answer | undefined;
  #reason: string | undefined;

  /**
   * @param mayProbe whether the server may be asked over HTTP: a tab asks it, but not the worker, which has nobody to
   * report to.
   * @param found called at most once, with the reason why there has never been a connection. States carry it from then
   * on.
   */
  constructor(url: string, mayProbe: boolean, found: (error: TidegateError) => void) {
    this.#url = url;
    // The sockets of the package `ws` report the reason themselves.
    this.#mayProbe = mayProbe && 'WebSocket' in globalThis;
    this.#onFound = found;
  }

  /**
   * The socket was lost, in this tab or in the one that holds the shared connection. `closeReason` is what it gave as
   * the reason, if anything. With `isRefused`, the server has refused the connection and is about to close
   * it: there is nothing to find out.
   */
  lost(closeReason: string | undefined, wasOpen: boolean, isRefused = false): void {
    this.#closeReason = closeReason;
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
      this.#closeReason = undefined;
      this.#reason = undefined;
      return state;
    }
    // Without a lost socket, an attempt failed for another reason, such as a missing token or leader.
    const isFailing = state.status === 'connecting' && state.attempt > 0 && this.#hasLost;
    if (isFailing && !this.#isProbed && !this.#isOver) {
      this.#isProbed = true;
      void this.#probe();
    }
    const reason = this.#reason ?? this.#closeReason;
    return reason === state.reason || reason === undefined ? state : { ...state, reason };
  }

  async #probe(): Promise<void> {
    this.#hasLost = false;
    // A socket that was open and gave a reason knows more than an HTTP request could find out.
    const mayProbe = this.#mayProbe && !(this.#wasOpen && this.#closeReason);
    this.#answer = await (mayProbe ? probe(this.#url) : { reason: this.#closeReason, isReached: false });
    this.#conclude();
  }

  /** Concludes, unless the server answered and no socket has failed since: it may just have started. */
  #conclude(): void {
    const { reason, isReached } = this.#answer ?? {};
    if (reason !== undefined && !this.#isOver && (!isReached || this.#hasLost)) {
      this.#answer = undefined;
      this.#reason = reason;
      this.#onFound(new TidegateError('unreachable', reason));
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
interface ErrorBody {
  readonly error?: { readonly message?: string };
}

/** Makes a plain request to the address of the WebSocket: its result tells more than a failed handshake. */
async function probe(socketUrl: string): Promise<Answer> {
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
    const body = (await response.json().catch(() => undefined)) as ErrorBody | undefined;
    const message = body?.error?.message;
    const reason = message ? `${address} refuses: ${message}` : `no Tidegate at ${address}: status ${status}`;
    return { reason, isReached: true };
  }
  const help =
    page &&
    ` from ${page}: start the server with --origin ${page}, or let proxies forward WebSockets, unless it was just starting`;
  return { reason: `${address} answers, but accepts no WebSocket${help ?? ''}`, isReached: true };
}
