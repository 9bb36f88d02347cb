/** What proves to the server who this is, and coming by it anew. */

import { badOption, TidegateError, typed } from './errors.js';
import { userName } from './tabs/names.js';

/**
 * A token, or a function that returns one. The function is called for each connection, and again before its token
 * expires. An error that it throws or rejects with is reported, and it is called again after a while.
 */
export type TokenOption = string | (() => string | Promise<string>);

/** What is in no token, whoever looks at it, but in the page of an error. */
const NO_TOKEN = /[\s<]/;

/** How much of a text that is no token is told. */
const SHOWN_CHARACTERS = 40;

/** How long a token that was had to learn whose it is may serve as an answer, in milliseconds. */
const FRESH_MS = 5_000;

/** What differs between two tokens of one user that allow the same: by RFC 7519 and OpenID Connect, and as Entra and Cognito have it. */
const PASSING_CLAIMS = 'exp iat nbf jti auth_time nonce at_hash c_hash uti aio rh xms_ftd event_id'.split(
  ' ',
);

/** The claims of a token, by their names. */
type Claims = readonly (readonly [name: string, value: unknown])[];

/** @internal */
export class Tokens {
  readonly #option: TokenOption | undefined;
  readonly #failed: (error: TidegateError) => void;
  #user: string | undefined;
  /** Whose token the first one was; nothing, where it didn't say. */
  #subject: string | undefined;
  #first: { readonly token: string; readonly until: number } | undefined;
  #isAsked = false;

  /** @throws {@link TidegateError} with code `bad_option`, if the option is neither a text nor a function. */
  constructor(option: TokenOption | undefined, failed: (error: TidegateError) => void) {
    const type = typeof (option ?? '');
    if (type !== 'string' && type !== 'function') {
      throw badOption('token', `of type ${type}`, 'a text or a function');
    }
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
      const claims = this.asks ? claimsOf(token) : undefined;
      this.#subject = claims && subject(claims);
      this.#user = token && (await userName(claims === undefined ? token : lasting(claims)));
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
    const claims = token === undefined ? undefined : claimsOf(token);
    // What they may do may be other than it was: whoever shares the connection is the same user, and what holds the server will say.
    if (claims === undefined || this.#subject === undefined || subject(claims) === this.#subject) {
      return token;
    }
    this.#failed(
      new TidegateError(
        'unauthorized',
        'the function token gave the token of another user: close this connection, and connect anew for them',
      ),
    );
    return undefined;
  }

  async #ask(): Promise<string | undefined> {
    if (this.#isAsked) {
      this.#failed(
        new TidegateError('timeout', 'the function token has not answered yet, and is called once more'),
      );
    }
    this.#isAsked = true;
    try {
      const token = await (this.#option as () => unknown)();
      if (typeof token !== 'string' || token === '') {
        throw new TidegateError('bad_option', 'the function token gave no text');
      }
      if (NO_TOKEN.test(token)) {
        // The page of an error, mostly, which nobody looked at the status of.
        const shown = JSON.stringify(token.slice(0, SHOWN_CHARACTERS));
        throw new TidegateError('bad_option', `the function token gave what can't be a token: ${shown}`);
      }
      return token;
    } catch (error) {
      this.#failed(typed(error, 'unauthorized', 'the function token failed'));
      return undefined;
    } finally {
      this.#isAsked = false;
    }
  }
}

/** What a token says; nothing, where it is no JSON Web Token. */
function claimsOf(token: string): Claims | undefined {
  try {
    const base64 = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/');
    return Object.entries(JSON.parse(atob(base64)) as object).sort();
  } catch {
    return undefined;
  }
}

/** What it says of its user that its successors will say, too. */
function lasting(claims: Claims): string {
  return JSON.stringify(claims.filter(([name]) => !PASSING_CLAIMS.includes(name)));
}

/** Who its user is: by what the issuer calls them, where it does. */
function subject(claims: Claims): string {
  const isNamed = claims.some(([name]) => name === 'sub');
  return isNamed
    ? JSON.stringify(claims.filter(([name]) => name === 'iss' || name === 'sub'))
    : lasting(claims);
}
