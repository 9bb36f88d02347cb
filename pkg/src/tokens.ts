/** What proves to the server who this is, and coming by it anew. */

import { TidegateError, typed } from './errors.js';
import { userName } from './tabs/names.js';

/**
 * A token, or a function that comes by one: it is called for each connection, and before the last one ends. An error that
 * it throws or rejects with is reported, and it is called again after a while.
 */
export type TokenOption = string | (() => string | Promise<string>);

/** How long a token that was had to learn whose it is may serve as an answer, in milliseconds. */
const FRESH_MS = 5_000;

/** What differs between two tokens of one user that allow the same. */
const PASSING_CLAIMS = ['exp', 'iat', 'nbf', 'jti', 'auth_time'];

/** @internal */
export class Tokens {
  readonly #option: TokenOption | undefined;
  readonly #failed: (error: TidegateError) => void;
  #user: string | undefined;
  #first: { readonly token: string; readonly until: number } | undefined;

  constructor(option: TokenOption | undefined, failed: (error: TidegateError) => void) {
    this.#option = option;
    this.#failed = failed;
  }

  /** The token, where it is always the same. */
  get fixed(): string | undefined {
    return typeof this.#option === 'string' ? this.#option : undefined;
  }

  /** Whether a new one can be had. */
  get asks(): boolean {
    return typeof this.#option === 'function';
  }

  /** What tells its user, and what they may do, apart from others; nothing, where that can't be found out now. */
  async user(): Promise<string | undefined> {
    if (this.#user !== undefined) {
      return this.#user;
    }
    const token = this.asks ? await this.#ask() : (this.fixed ?? '');
    if (token !== undefined) {
      this.#user = token && (await userName(this.asks ? lasting(token) : token));
      this.#first = this.asks ? { token, until: Date.now() + FRESH_MS } : undefined;
    }
    return this.#user;
  }

  /** A new token; none, where none can be had now, or the one that was had is somebody else's. */
  async next(): Promise<string | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined && Date.now() < first.until) {
      return first.token;
    }
    const token = await this.#ask();
    const claims = token && lasting(token);
    // A token that is not to be read differs each time; whose it is, the server will say.
    const isOther = claims !== token && this.#user !== undefined && (await userName(claims!)) !== this.#user;
    return isOther ? undefined : token;
  }

  async #ask(): Promise<string | undefined> {
    try {
      const token = await (this.#option as () => unknown)();
      if (typeof token === 'string' && token !== '') {
        return token;
      }
      throw new TidegateError('bad_option', 'the function token gave no text');
    } catch (error) {
      this.#failed(typed(error, 'unauthorized', 'the function token failed'));
      return undefined;
    }
  }
}

/** What a token says of its user that its successors will say, too; the token itself, where it is no JSON Web Token. */
function lasting(token: string): string {
  try {
    const base64 = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/');
    const claims = Object.entries(JSON.parse(atob(base64)) as object);
    return JSON.stringify(claims.filter(([name]) => !PASSING_CLAIMS.includes(name)).sort());
  } catch {
    return token;
  }
}
