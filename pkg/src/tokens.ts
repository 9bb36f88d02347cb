/** The token of a connection, and how a new one is had. */

import { badOption, TidegateError, typed } from './errors.js';
import { userName } from './tabs/names.js';

/**
 * A token, or a function that returns one. The function is called for each connection, and again before its token
 * expires. An error that it throws or rejects with is reported, and it is called again after a while.
 */
export type TokenOption = string | (() => string | Promise<string>);

/** Characters that no token contains, but an HTML error page does. */
const NO_TOKEN = /[\s<]/;

/** How much of a text that can't be a token an error message shows. */
const SHOWN_CHARACTERS = 40;

/** How long the token that was requested to learn the user's identity may also be used to connect, in milliseconds. */
const FRESH_MS = 5_000;

/**
 * The claims that differ between two tokens of the same user with the same rights: those of RFC 7519 and OpenID
 * Connect, and of Entra and Cognito.
 */
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
  /** The user of the first token; undefined if it doesn't say. */
  #subject: string | undefined;
  #first: { readonly token: string; readonly until: number } | undefined;
  #isPending = false;

  /** @throws {@link TidegateError} with code `bad_option`, if the option is neither a text nor a function. */
  constructor(option: TokenOption | undefined, failed: (error: TidegateError) => void) {
    const type = typeof (option ?? '');
    if (type !== 'string' && type !== 'function') {
      throw badOption('token', `of type ${type}`, 'a text or a function');
    }
    this.#option = option;
    this.#failed = failed;
  }

  /** The token, if it was given as a text. */
  get fixed(): string | undefined {
    return typeof this.#option === 'string' ? this.#option : undefined;
  }

  /** Whether a new token can be requested. */
  get isRenewable(): boolean {
    return typeof this.#option === 'function';
  }

  /** A name that identifies the user and their rights; undefined if that can't be found out now. */
  async user(): Promise<string | undefined> {
    if (this.#user !== undefined) {
      return this.#user;
    }
    const token = this.isRenewable ? await this.#request() : (this.fixed ?? '');
    if (token !== undefined) {
      const claims = this.isRenewable ? claimsOf(token) : undefined;
      this.#subject = claims && subject(claims);
      this.#user = token && (await userName(claims === undefined ? token : lasting(claims)));
      this.#first = this.isRenewable ? { token, until: Date.now() + FRESH_MS } : undefined;
    }
    return this.#user;
  }

  /** A new token; undefined if there is none now, or if it is another user's. */
  async next(): Promise<string | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined && Date.now() < first.until) {
      return first.token;
    }
    const token = await this.#request();
    const claims = token === undefined ? undefined : claimsOf(token);
    // Other rights are fine: everyone who shares the connection is the same user, and the server enforces the new
    // rights.
    if (claims === undefined || this.#subject === undefined || subject(claims) === this.#subject) {
      return token;
    }
    this.#failed(
      new TidegateError(
        'unauthorized',
        'the token function gave the token of another user: close this connection, and connect again for them',
      ),
    );
    return undefined;
  }

  async #request(): Promise<string | undefined> {
    if (this.#isPending) {
      this.#failed(
        new TidegateError('timeout', 'the token function has not answered yet, and is called once more'),
      );
    }
    this.#isPending = true;
    try {
      const token = await (this.#option as () => unknown)();
      if (typeof token !== 'string' || token === '') {
        throw new TidegateError('bad_option', 'the token function gave no text');
      }
      if (NO_TOKEN.test(token)) {
        // Most likely an error page, returned by code that didn't check the status.
        const shown = JSON.stringify(token.slice(0, SHOWN_CHARACTERS));
        throw new TidegateError('bad_option', `the token function gave something that is no token: ${shown}`);
      }
      return token;
    } catch (error) {
      this.#failed(typed(error, 'unauthorized', 'the token function failed'));
      return undefined;
    } finally {
      this.#isPending = false;
    }
  }
}

/** The claims of a token; undefined if it isn't a JSON Web Token. */
function claimsOf(token: string): Claims | undefined {
  try {
    const base64 = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/');
    return Object.entries(JSON.parse(atob(base64)) as object).sort();
  } catch {
    return undefined;
  }
}

/** The claims that later tokens of the same user will have, too. */
function lasting(claims: Claims): string {
  return JSON.stringify(claims.filter(([name]) => !PASSING_CLAIMS.includes(name)));
}

/** The user of a token: the issuer and its subject, if the token names one. */
function subject(claims: Claims): string {
  const isNamed = claims.some(([name]) => name === 'sub');
  return isNamed
    ? JSON.stringify(claims.filter(([name]) => name === 'iss' || name === 'sub'))
    : lasting(claims);
}
