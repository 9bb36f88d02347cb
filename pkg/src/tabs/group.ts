/**
 * Connects a page or a worker to the browser's other tabs: through the channel, the lock and the shared worker, and by
 * the page's lifecycle events. The core decides what to do with them.
 */

import type { Membership } from './membership.js';
import type { SpawnWorker } from './spawn.js';

/** The lifecycle events of a page, in the core's numbering. */
const PageEvent = { Visible: 0, Hidden: 1, Frozen: 2, Leaving: 3, Resumed: 4 } as const;

/**
 * The core's JSON notes about the group.
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
 * What the group reports.
 *
 * @internal
 */
export interface GroupEvents {
  /** Another tab has sent something. */
  said(text: unknown): void;
  /** The requested lock was granted. */
  granted(request: number): void;
  /** The lock was stolen, or could not be had. */
  lost(request: number): void;
  /** A lifecycle event of the page. */
  page(event: number): void;
  /** The shared worker or the lock is not available here. */
  unavailable(): void;
}

/** @internal */
export class Group {
  readonly #membership: Membership;
  readonly #events: GroupEvents;
  readonly #spawnWorker: SpawnWorker | undefined;
  /** Closed while the page is in the back/forward cache: a message would evict it. */
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

  /** The page's current state, for the core to begin with. */
  get page(): number {
    return typeof document === 'undefined' ? PageEvent.Visible : visibility();
  }

  /** Sends messages to the other tabs, in this order. */
  say(messages: readonly string[]): void {
    this.#channel?.postMessage(`[${messages.join()}]`);
  }

  /** Carries out a note. */
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

  /** Releases the lock and the worker: the core that asked for them is gone. */
  reset(): void {
    for (const request of [...this.#locks.keys()]) {
      this.#releaseLock(request);
    }
    this.#detachWorker?.();
    this.#detachWorker = undefined;
  }

  /** Leaves the group. */
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
 * Stores the latest generation for new tabs. Without storage, they start at the first, and learn of the latest from the
 * other tabs. The first generation, by far the most frequent, isn't stored: each user, and possibly each page, would
 * leave an item behind.
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
