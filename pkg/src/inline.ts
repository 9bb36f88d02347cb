/**
 * The whole package with its WASM core as text in the code, for places where no second file can be served: single-file
 * pages, browser extensions, sandboxes. The text is a third larger than the file, and can't be compiled while it is
 * being loaded.
 *
 * @packageDocumentation
 */

import * as tide from './connect.js';
import * as engine from './engine.js';
import { MODULE_TEXT } from './module-text.js';
import type { ConnectOptions, Tide } from './tide-types.js';

// The declarations below replace the exports of the same name.
export * from './index.js';

let unpacking: Response | undefined;

/** The module as a response, which is unpacked while its first user reads it. */
function core(): Response {
  if (unpacking === undefined) {
    const packed = Uint8Array.from(atob(MODULE_TEXT), (character) => character.charCodeAt(0));
    const bytes = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    unpacking = new Response(bytes, { headers: { 'content-type': 'application/wasm' } });
  }
  return unpacking;
}

/**
 * Unpacks the core, once. Await this before `createHub`, `throttle` or `debounce`, here also in Node. Afterwards,
 * nothing else of the package in the same bundle needs a file either.
 *
 * @throws `TidegateError` with code `load_failed`.
 */
export function ready(options: engine.ReadyOptions = {}): Promise<void> {
  return engine.ready({ wasm: options.wasm ?? core() });
}

/** Like `connect` of the package, with the core in this code. */
export function connect(url: string | URL, options: ConnectOptions = {}): Tide {
  return tide.connect(url, { ...options, wasm: options.wasm ?? core() });
}
