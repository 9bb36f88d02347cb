/**
 * Which modules there are. Each has a file of its own, of which a page fetches what it needs.
 *
 * In Node (and Bun, and Deno) a module is read from the package's folder when it is first needed, synchronously.
 */

import { Core, type WasmSource } from './core.js';

/** Options of {@link ready}. */
export interface ReadyOptions {
  /** Where `tidegate_bg.wasm` is, or what is in it. Default: a smaller file beside the package's own code. */
  readonly wasm?: WasmSource;
}

/** The core that a page has named itself: it serves all for which it has machines. */
const given = /* @__PURE__ */ new Core();

/** The core of `createHub`, `throttle` and `debounce`. */
const hubCore = /* @__PURE__ */ new Core(() => new URL('./wasm/hub.wasm', import.meta.url));

/** The core of `connect`. */
const clientCore = /* @__PURE__ */ new Core(() => new URL('./wasm/client.wasm', import.meta.url));

/** The core of `connect` where tabs may share the connection. */
const tabsCore = /* @__PURE__ */ new Core(() => new URL('./wasm/tabs.wasm', import.meta.url));

/**
 * Loads the core, once. `createHub`, `throttle` and `debounce` need it: in a browser, await this first.
 * `connect` does so itself, and in Node there is nothing to wait for.
 *
 * @throws {@link TidegateError} with code `load_failed`; another call tries again.
 */
export async function ready(options: ReadyOptions = {}): Promise<void> {
  if (options.wasm !== undefined) {
    await loadGiven(options.wasm);
  }
  await localCore().load();
}

/**
 * Loads the core that a page names itself.
 *
 * @throws {@link TidegateError} with code `load_failed`; another call tries again.
 * @internal
 */
export function loadGiven(source: WasmSource): Promise<void> {
  return given.load(source);
}

/**
 * The core for what happens in the page alone, whether or not it is loaded.
 *
 * @internal
 */
export function localCore(): Core {
  return given.makes('hub_new') ? given : hubCore;
}

/**
 * The core for a connection that is alone, or that tabs may share, whether or not it is loaded.
 *
 * @internal
 */
export function connectionCore(isShared: boolean): Core {
  if (given.makes(isShared ? 'client_shared' : 'client_new')) {
    return given;
  }
  return isShared ? tabsCore : clientCore;
}

/**
 * Whether tabs can share by the core that a page has named itself, if it has: where that is only for a connection that is
 * alone, no other file is looked for.
 *
 * @internal
 */
export function canShare(): boolean {
  return given.makes('client_shared') || !given.makes('client_new');
}

/**
 * How many payloads all cores hold.
 *
 * @internal
 */
export function slotsInUse(): number {
  return [given, hubCore, clientCore, tabsCore].reduce((sum, { slots }) => sum + slots.inUse(), 0);
}
