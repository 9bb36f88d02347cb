/** Decides which tabs share a connection, and in which way, once for each connection. */

import type { WasmSource } from '../core.js';
import { baseUrl } from '../socket.js';
import { Election } from './election.js';
import { TABS_VERSION } from './message.js';
import type { SpawnWorker, WorkerOrder } from './spawn.js';

/**
 * A connection's part in a group of tabs.
 *
 * @internal
 */
export interface Membership {
  /** The name of the channel, the lock and (with a generation) the worker. */
  readonly group: string;
  readonly election: number;
  /** The generation of the worker to begin with. */
  readonly generation: number;
  /** The name by which the server knows the group, if it is already chosen. */
  readonly knownAs?: string;
  /** The order for a worker that this tab starts. */
  readonly worker?: Omit<WorkerOrder, 'generation' | 'knownAs'>;
  /** Called when a worker is superseded. */
  readonly retire?: () => void;
}

/**
 * What a connection gets in order to share: in a page, the function that starts a worker; in a worker, the membership
 * that its order describes.
 *
 * @internal
 */
export interface TabsPart {
  readonly spawn?: SpawnWorker;
  readonly membership?: Membership;
}

/** How tabs share. */
export type TabsMode = 'auto' | 'worker' | 'leader' | 'off';

interface Wanted {
  readonly url: string;
  readonly token: string | undefined;
  readonly asks: boolean;
  /** A name that identifies the user. */
  readonly user: string;
  readonly client?: string | undefined;
  readonly wasm?: WasmSource | undefined;
  /** Whether the platform's own time and sockets are used: a worker has no others. */
  readonly isOrdinary: boolean;
}

/**
 * The part of a connection in a group; undefined if it isn't shared.
 *
 * @internal
 */
export function findMembership(mode: TabsMode, wanted: Wanted): Membership | undefined {
  const { url, token, asks, user, client, wasm, isOrdinary } = wanted;
  if (mode === 'off' || !hasTabs() || (mode === 'auto' && !isOrdinary)) {
    return undefined;
  }
  const group = (way: string): string => `tidegate.${TABS_VERSION}.${way} ${url} ${user}`;
  const hasText = wasm === undefined || typeof wasm === 'string' || wasm instanceof URL;
  if (mode !== 'leader' && typeof SharedWorker !== 'undefined' && isOrdinary && hasText) {
    const name = group('worker');
    const order = { url, group: name, ...defined({ token, asks, client, wasm: wasm && absolute(wasm) }) };
    return { group: name, election: Election.Worker, generation: lastGeneration(name), worker: order };
  }
  if (mode !== 'worker') {
    // Only pages over HTTPS or from this machine have locks; in some browser emulations, they are null.
    const election = navigator.locks ? Election.Lock : Election.Claims;
    return { group: group('leader'), election, generation: 0 };
  }
  return undefined;
}

/**
 * Whether the page can share with other tabs: not in Node or in a worker, not with an opaque origin, and not if
 * channels are forbidden, as in Firefox with cookies blocked.
 *
 * @internal
 */
export function hasTabs(): boolean {
  const isPage = typeof document !== 'undefined' && typeof BroadcastChannel !== 'undefined';
  if (!isPage || globalThis.origin === 'null') {
    return false;
  }
  try {
    new BroadcastChannel('tidegate').close();
    return true;
  } catch {
    return false;
  }
}

function absolute(wasm: WasmSource): string {
  return new URL(String(wasm), baseUrl()).href;
}

function defined<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}

function lastGeneration(group: string): number {
  try {
    const generation = Number(localStorage.getItem(group));
    return Number.isSafeInteger(generation) && generation > 0 ? generation : 1;
  } catch {
    return 1;
  }
}
