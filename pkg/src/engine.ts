/**
 * The WASM modules. Each is a file of its own, so that a page fetches only what it needs.
 *
 * In Node (and Bun, and Deno) a module is read from the package's folder when it is first needed, synchronously.
 */

import { Core, type WasmSource } from './core.js';
import { Election } from './tabs/election.js';

/** Options of {@link ready}. */
export interface ReadyOptions {
  /** The location or the content of `tidegate_bg.wasm`. Default: a smaller file beside the package's own code. */
  readonly wasm?: WasmSource | undefined;
}

/** The core that the page has given itself. It serves everything for which it has machines. */
const given = /* @__PURE__ */ new Core();

/** The core of `createHub`, `throttle` and `debounce`. */
const hubCore = /* @__PURE__ */ new Core(() => new URL('./wasm/hub.wasm', import.meta.url));

/** The core of `connect` if the connection isn't shared. */
const clientCore = /* @__PURE__ */ new Core(() => new URL('./wasm/client.wasm', import.meta.url));

/** The core of `connect` in a tab that may become the leader, which holds the connection for the others. */
const tabsCore = /* @__PURE__ */ new Core(() => new URL('./wasm/tabs.wasm', import.meta.url));

/** The core of `connect` in a tab whose connection is held by a worker. */
const followerCore = /* @__PURE__ */ new Core(() => new URL('./wasm/follower.wasm', import.meta.url));

/** The core of that worker. */
const workerCore = /* @__PURE__ */ new Core(() => new URL('./wasm/worker.wasm', import.meta.url));

/**
 * Loads the core, once. In a browser, await this before `createHub`, `throttle` or `debounce`. `connect` does it by
 * itself, and in Node there is nothing to wait for.
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
 * Loads the core that the page gives itself.
 *
 * @throws {@link TidegateError} with code `load_failed`; another call tries again.
 * @internal
 */
export function loadGiven(source: WasmSource): Promise<void> {
  return given.load(source);
}

/**
 * The core for hubs and gates within the page, whether or not it is loaded.
 *
 * @internal
 */
export function localCore(): Core {
  return given.makes('hub_new') ? given : hubCore;
}

/**
 * The core for a connection with this part in a group of tabs, or with none. Returned without a promise if it is
 * loaded.
 *
 * @throws {@link TidegateError} with code `load_failed`; another call tries again.
 * @internal
 */
export function connectionCore(election: number | undefined): Core | Promise<Core> {
  const core = connectionCoreOf(election);
  return core.loadNow() ? core : core.load().then(() => core);
}

function connectionCoreOf(election: number | undefined): Core {
  if (given.makes(election === undefined ? 'client_new' : 'client_shared')) {
    return given;
  }
  switch (election) {
    case undefined:
      return clientCore;
    case Election.Worker:
      return followerCore;
    case Election.Host:
      return workerCore;
    default:
      return tabsCore;
  }
}

/**
 * Whether tabs can share a connection. If the page has given a core that only has the machines of an unshared
 * connection, they can't: no other file is fetched then.
 *
 * @internal
 */
export function canShare(): boolean {
  return given.makes('client_shared') || !given.makes('client_new');
}

/**
 * How many payloads all cores hold together.
 *
 * @internal
 */
export function slotsInUse(): number {
  const cores = [given, hubCore, clientCore, tabsCore, followerCore, workerCore];
  return cores.reduce((sum, { slots }) => sum + slots.inUse(), 0);
}
