/** Which tabs share a connection, and by which way: decided once for each connection. */

import type { WasmSource } from '../core.js';
import { baseUrl } from '../socket.js';
import { Election } from './election.js';
import { TABS_VERSION } from './message.js';
import type { SpawnWorker, WorkerOrder } from './spawn.js';

/**
 * A part in a group of tabs.
 *
 * @internal
 */
export interface Membership {
  /** The name of the channel, the lock and (with a generation) the worker. */
  readonly group: string;
  readonly election: number;
  /** The worker's generation to begin with. */
  readonly generation: number;
  /** What the server knows the group by, where that was told already. */
  readonly knownAs?: string;
  /** What a worker is told that is started. */
  readonly worker?: Omit<WorkerOrder, 'generation' | 'knownAs'>;
  /** Called when a worker is superseded. */
  readonly retire?: () => void;
}

/**
 * What a connection is given to share with: a page's what starts a worker, and a worker's its membership, as it was told.
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
  /** What tells the user apart from others. */
  readonly user: string;
  readonly client?: string | undefined;
  readonly wasm?: WasmSource | undefined;
  /** Whether the platform's own time and sockets are used: a worker knows no others. */
  readonly isOrdinary: boolean;
}

/**
 * The part that a connection has, or nothing where it is to be alone.
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
    // Only a page that came over HTTPS, or from this machine, has locks; some imitations of a browser have null.
    const election = navigator.locks ? Election.Lock : Election.Claims;
    return { group: group('leader'), election, generation: 0 };
  }
  return undefined;
}

/**
 * Whether there are tabs to share with: not in Node, in a worker, where the page has an origin of its own, or where it may
 * not speak to others, as in Firefox with cookies blocked.
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
