/**
 * The code of an error, stable across versions.
 *
 * These codes arise in this package: `not_ready` (the WASM core is not loaded yet), `load_failed` (it could not be
 * loaded), `internal` (it failed and was restarted, or could not be called), `no_websocket`, `unreachable` (there has
 * never been a connection; it keeps trying), `bad_option`, `bad_data` (what was published is not JSON), `overflow` (an
 * iterator fell behind), `aborted` (by the caller's signal), `closed`. All others come from the server or from the
 * core, and are explained in the protocol's section on errors.
 */
export type ErrorCode =
  | 'not_ready'
  | 'load_failed'
  | 'no_websocket'
  | 'unreachable'
  | 'bad_option'
  | 'bad_data'
  | 'overflow'
  | 'aborted'
  | 'closed'
  | 'bad_frame'
  | 'bad_topic'
  | 'bad_flow'
  | 'already_subscribed'
  | 'not_subscribed'
  | 'too_many_subscriptions'
  | 'too_many_topics'
  | 'too_many_connections'
  | 'too_many_requests'
  | 'too_many_presences'
  | 'too_large'
  | 'topic_ended'
  | 'unauthorized'
  | 'token_expired'
  | 'forbidden'
  | 'timeout'
  | 'slow_consumer'
  | 'draining'
  | 'superseded'
  | 'disconnected'
  | 'connection_lost'
  | 'unavailable'
  | 'refused'
  | 'internal';

/** The class of every error that this package throws, rejects with or reports. */
export class TidegateError extends Error {
  /** Defined, not assigned: an assignment throws in a page that has frozen `Error.prototype`. */
  override readonly name: string = 'TidegateError';
  /** What went wrong. */
  readonly code: ErrorCode;
  /** The pattern of the subscription, if the error concerns one. */
  readonly pattern?: string;

  constructor(code: ErrorCode, message: string, details: { pattern?: string; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.pattern !== undefined) {
      this.pattern = details.pattern;
    }
  }
}

/**
 * Returns `thrown`, if it is a typed error; otherwise, one with this code, which says what has failed.
 *
 * @internal
 */
export function typed(thrown: unknown, code: ErrorCode, what: string): TidegateError {
  const isTyped = thrown instanceof TidegateError;
  return isTyped ? thrown : new TidegateError(code, `${what}: ${String(thrown)}`, { cause: thrown });
}

/**
 * The error for an option `name` that is not `give`.
 *
 * @internal
 */
export function badOption(name: string, value: unknown, give: string): TidegateError {
  return new TidegateError('bad_option', `${name} is ${String(value)}: give ${give}`);
}

/**
 * An error as the core reports it.
 *
 * @internal
 */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly pattern?: string;
}

/**
 * The typed form of an error that the core reports.
 *
 * @internal
 */
export function typedError({ code, message, pattern }: PlainError): TidegateError {
  return new TidegateError(code, message, pattern === undefined ? {} : { pattern });
}

/**
 * Reports an error as uncaught, such as one that a handler threw, without interrupting the caller.
 *
 * @internal
 */
export function report(error: unknown): void {
  if (typeof globalThis.reportError === 'function') {
    globalThis.reportError(error);
    return;
  }
  queueMicrotask(() => {
    throw error;
  });
}
