/**
 * A page's or a worker's way to the browser's other tabs: the channel, the lock, the shared worker, and what becomes of
 * the page. What is to be done with them is for the core to say.
 */

import type { Membership } from './membership.js';
import type { SpawnWorker } from './spawn.js';

/** What becomes of a page, as the core numbers it. */
const PageEvent = { Visible: 0, Hidden: 1, Frozen: 2, Leaving: 3, Resumed: 4 } as const;

/**
 * What the core says of the group, in words.
 *
 * @internal
 */
export type TabsNote =
  | { readonly note: 'lock'; readonly request: number; readonly steal: boolean }
  | { readonly note: 'unlock'; readonly request: number }
  | { readonly note: 'spawn'; readonly generation: number; readonly group: string }
  | { readonly note: 'retire' }
  | { readonly note: 'role'; readonly role: 'away' | 'follower' | 'leader' };

/**
 * Whether a note is for the group.
 *
 * @internal
 */
export function isTabsNote(note: { readonly note: string }): note is TabsNote {
  return ['lock', 'unlock', 'spawn', 'retire', 'role'].includes(note.note);
}

/**
 * What the group tells of.
 *
 * @internal
 */
export interface GroupEvents {
  /** Somebody has said something. */
  said(text: unknown): void;
  /** The lock of a request was granted. */
  granted(request: number): void;
  /** It was taken away, or could not be had. */
  lost(request: number): void;
  /** Something becomes of the page. */
  page(event: number): void;
  /** The shared worker or the lock is not to be had here. */
  unavailable(): void;
}

/** @internal */
export class Group {
  readonly #membership: Membership;
  readonly #events: GroupEvents;
  readonly #spawnWorker: SpawnWorker | undefined;
  /** Closed while the page is away: what it hears then would cost it its place in the back/forward cache. */
  #channel: BroadcastChannel | undefined;
  readonly #locks = new Map<number, () => void>();
  readonly #stop = new AbortController();
  #isAsleep = false;
  #detachWorker: (() => void) | undefined;

  constructor(membership: Membership, events: GroupEvents, spawnWorker: SpawnWorker | undefined) {
    this.#membership = membership;
    this.#events = events;
    this.#spawnWorker = spawnWorker;
    this.#openChannel();
    this.#listenToPage();
  }

  #openChannel(): void {
    this.#channel ??= new BroadcastChannel(this.#membership.group);
    this.#channel.onmessage = ({ data }) => this.#events.said(data);
  }

  #closeChannel(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #listenToPage(): void {
    if (typeof document === 'undefined') {
      return;
    }
    const { signal } = this.#stop;
    const sleep = (event: number): void => {
      this.#isAsleep = true;
      this.#events.page(event);
    };
    const wake = (): void => {
      this.#isAsleep = false;
      this.#openChannel();
      this.#events.page(PageEvent.Resumed);
    };
    document.addEventListener('visibilitychange', () => this.#events.page(visibility()), { signal });
    document.addEventListener('freeze', () => sleep(PageEvent.Frozen), { signal });
    document.addEventListener('resume', wake, { signal });
    addEventListener(
      'pagehide',
      () => {
        sleep(PageEvent.Leaving);
        this.#closeChannel();
      },
      { signal },
    );
    addEventListener(
      'pageshow',
      () => {
        if (this.#isAsleep) {
          wake();
        }
      },
      { signal },
    );
  }

  /** How the page is now, for the core to begin with. */
  get page(): number {
    return typeof document === 'undefined' ? PageEvent.Visible : visibility();
  }

  /** Says these messages to the other tabs, in this order. */
  say(messages: readonly string[]): void {
    this.#channel?.postMessage(`[${messages.join()}]`);
  }

  /** Does what a note says. */
  take(note: TabsNote): void {
    switch (note.note) {
      case 'lock':
        this.#requestLock(note.request, note.steal);
        break;
      case 'unlock':
        this.#releaseLock(note.request);
        break;
      case 'spawn':
        this.#spawn(note.generation, note.group);
        break;
      case 'retire':
        this.#membership.retire?.();
        break;
      case 'role':
        break;
    }
  }

  #requestLock(request: number, steal: boolean): void {
    const waiting = new AbortController();
    const { promise: held, resolve: release } = withResolver();
    this.#locks.set(request, () => {
      release();
      waiting.abort();
    });
    navigator.locks
      .request(this.#membership.group, steal ? { steal } : { signal: waiting.signal }, () => {
        if (this.#locks.has(request)) {
          this.#events.granted(request);
        }
        return held;
      })
      .catch((error: unknown) => {
        if (!this.#locks.delete(request)) {
          return;
        }
        if ((error as { name?: string }).name === 'SecurityError') {
          this.#events.unavailable();
        } else {
          this.#events.lost(request);
        }
      });
  }

  #releaseLock(request: number): void {
    const release = this.#locks.get(request);
    this.#locks.delete(request);
    release?.();
  }

  #spawn(generation: number, knownAs: string): void {
    const { group, worker } = this.#membership;
    this.#detachWorker?.();
    const order = { ...worker!, generation, knownAs };
    try {
      this.#detachWorker = this.#spawnWorker!(`${group}#${generation}`, order, () =>
        this.#events.unavailable(),
      );
    } catch {
      this.#events.unavailable();
      return;
    }
    rememberGeneration(group, generation);
  }

  /** Lets go of the lock and the worker: the core that asked for them is gone. */
  reset(): void {
    for (const request of [...this.#locks.keys()]) {
      this.#releaseLock(request);
    }
    this.#detachWorker?.();
    this.#detachWorker = undefined;
  }

  /** Takes no part any more. */
  close(): void {
    this.reset();
    this.#stop.abort();
    this.#closeChannel();
  }
}

function visibility(): number {
  return document.visibilityState === 'hidden' ? PageEvent.Hidden : PageEvent.Visible;
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/**
 * Where there is no storage, a tab to come starts at the first generation, and learns of the latest from the others. The first
 * is what it starts at anyway: mostly nothing is stored, for the group's name differs with each user and may with each page.
 */
function rememberGeneration(group: string, generation: number): void {
  if (generation <= 1) {
    return;
  }
  try {
    localStorage.setItem(group, String(generation));
  } catch {
    // Storage may be forbidden or full.
  }
}
