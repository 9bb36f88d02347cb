/// <reference lib="esnext.disposable" preserve="true" />

/**
 * `Symbol.dispose`, or its usual replacement if the platform has none yet: `using`, as compilers translate it, looks
 * there, too.
 *
 * @internal
 */
export const dispose: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for('Symbol.dispose') as typeof Symbol.dispose);

/**
 * The same for `await using`.
 *
 * @internal
 */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);
