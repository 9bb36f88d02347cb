/**
 * The WASM core: how it is loaded, how it is called, and what happens when it breaks.
 *
 * One module serves everything in a page. In Node (and Bun, and Deno) it is read from the package's folder when it is
 * first needed, synchronously. In a browser it is fetched: by `ready()`, or by the first `connect`.
 */

import { type ErrorCode, TidegateError } from './errors.js';
import { clearSlots } from './slots.js';
import initialise, * as bindings from './wasm/tidegate.js';

/** Where the core may be loaded from, if not from the package's folder. */
export type WasmSource = URL | string | Request | Response | BufferSource | WebAssembly.Module;

/** Options of {@link ready}. */
export interface ReadyOptions {
  /** Where `tidegate_bg.wasm` is, or what is in it. Default: beside the package's own code. */
  readonly wasm?: WasmSource;
}

let isLoaded = false;
let loading: Promise<void> | undefined;
let era = 0;
const restartListeners = new Set<() => void>();

/**
 * Loads the core, once. `createHub`, `throttle` and `debounce` need it: in a browser, await this first.
 * `connect` does so itself, and in Node there is nothing to wait for.
 *
 * @throws {@link TidegateError} with code `load_failed`; another call tries again.
 */
export function ready(options: ReadyOptions = {}): Promise<void> {
  if (isLoaded) {
    return Promise.resolve();
  }
  loading ??= load(options.wasm).catch((cause: unknown) => {
    loading = undefined;
    throw new TidegateError('load_failed', `the WASM core could not be loaded: ${String(cause)}`, { cause });
  });
  return loading;
}

async function load(source: WasmSource | undefined): Promise<void> {
  if (source === undefined && loadFromDisk()) {
    return;
  }
  await initialise({ module_or_path: source ?? new URL('./wasm/tidegate_bg.wasm', import.meta.url) });
  isLoaded = true;
}

interface FileSystem {
  readFileSync(path: URL): Uint8Array<ArrayBuffer>;
}

interface Runtime {
  process?: { getBuiltinModule?(name: string): unknown };
}

/** Reads the module from the package's folder, where there are files: says whether it could. */
function loadFromDisk(): boolean {
  const url = new URL('./wasm/tidegate_bg.wasm', import.meta.url);
  const fs = (globalThis as Runtime).process?.getBuiltinModule?.('node:fs') as FileSystem | undefined;
  if (url.protocol !== 'file:' || fs === undefined) {
    return false;
  }
  try {
    bindings.initSync({ module: fs.readFileSync(url) });
  } catch (cause) {
    throw new TidegateError('load_failed', `the WASM core could not be loaded: ${String(cause)}`, { cause });
  }
  isLoaded = true;
  return true;
}

/**
 * Whether the core is there, or can be had at once.
 *
 * @internal
 */
export function isReady(): boolean {
  return isLoaded || loadFromDisk();
}

/**
 * The core, to make machines from.
 *
 * @internal
 */
export function core(): typeof bindings {
  if (!isReady()) {
    throw new TidegateError('not_ready', 'the WASM core is not loaded yet: await ready() first');
  }
  return bindings;
}

/**
 * Counts the times that the core was started afresh. Machines of an earlier one are void.
 *
 * @internal
 */
export function currentEra(): number {
  return era;
}

/**
 * Calls `listener` after the core was started afresh, until the returned function is called.
 *
 * @internal
 */
export function onRestart(listener: () => void): () => void {
  restartListeners.add(listener);
  return () => restartListeners.delete(listener);
}

/**
 * Calls into the core, with its errors made typed.
 *
 * @internal
 */
export function enter<R>(call: () => R): R {
  try {
    return call();
  } catch (error) {
    throw recover(error);
  }
}

interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly pattern?: string;
}

/** What a call into the core returns instead of a number when it failed. */
const FAILED = 2 ** 32 - 1;

/**
 * Calls into the core, with its errors made typed, where a number says that it failed.
 *
 * @internal
 */
export function attempt(call: () => number): number {
  const result = enter(call);
  if (result === FAILED) {
    throw typedError(JSON.parse(bindings.take_texts()));
  }
  return result;
}

/**
 * The typed form of an error as the core tells it.
 *
 * @internal
 */
export function typedError(error: PlainError): TidegateError {
  return new TidegateError(
    error.code,
    error.message,
    error.pattern === undefined ? {} : { pattern: error.pattern },
  );
}

/**
 * Makes what a call into the core threw a typed error. Whatever is not one yet means that it broke, so it is
 * started afresh.
 *
 * @internal
 */
export function recover(thrown: unknown): TidegateError {
  if (thrown instanceof TidegateError) {
    return thrown;
  }
  bindings.restart();
  clearSlots();
  era += 1;
  queueMicrotask(() => {
    for (const listener of [...restartListeners]) {
      listener();
    }
  });
  return new TidegateError('internal', `the core broke and was started afresh: ${String(thrown)}`, {
    cause: thrown,
  });
}
