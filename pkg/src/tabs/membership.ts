/** Which tabs share a connection, and by which way: decided once for each connection. */

import type { WasmSource } from '../engine.js';
import { TABS_VERSION } from './message.js';
import type { WorkerOrder } from './spawn.js';

/**
 * Who leads, as the core numbers it: the holder of a lock, a worker that this tab attaches to, or this worker.
 *
 * @internal
 */
export const Election = { Lock: 0, Worker: 2, Host: 3 } as const;

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
  /** What a worker is told that is started. */
  readonly worker?: Omit<WorkerOrder, 'generation'>;
  /** Called when a worker is superseded. */
  readonly retire?: () => void;
}

/** How tabs share. */
export type TabsMode = 'auto' | 'worker' | 'leader' | 'off';

interface Wanted {
  readonly url: string;
  readonly token?: string | undefined;
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
export async function findMembership(mode: TabsMode, wanted: Wanted): Promise<Membership | undefined> {
  const { url, token, client, wasm } = wanted;
  if (mode === 'off' || typeof BroadcastChannel === 'undefined' || typeof document === 'undefined') {
    return undefined;
  }
  const user = token === undefined ? '' : await digest(token);
  if (user === undefined) {
    return undefined;
  }
  const group = (way: string): string => `tidegate.${TABS_VERSION}.${way} ${url} ${user}`;
  const hasText = wasm === undefined || typeof wasm === 'string' || wasm instanceof URL;
  if (mode !== 'leader' && typeof SharedWorker !== 'undefined' && wanted.isOrdinary && hasText) {
    const name = group('worker');
    const order = { url, group: name, ...defined({ token, client, wasm: wasm && absolute(wasm) }) };
    return { group: name, election: Election.Worker, generation: lastGeneration(name), worker: order };
  }
  if (mode !== 'worker' && navigator.locks !== undefined) {
    return { group: group('leader'), election: Election.Lock, generation: 0 };
  }
  return undefined;
}

/** What tells users apart without giving their tokens away; nothing where the page is no secure context. */
async function digest(token: string): Promise<string | undefined> {
  const hash = await globalThis.crypto?.subtle?.digest('SHA-256', new TextEncoder().encode(token));
  return hash && Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function absolute(wasm: WasmSource): string {
  return new URL(String(wasm), location.href).href;
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
