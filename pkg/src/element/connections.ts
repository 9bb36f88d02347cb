/** One connection per server for all elements of a page. */

import { connect } from '../connect.js';
import type { Tide } from '../tide-types.js';

/** A share in a connection. */
export interface Share {
  readonly tide: Tide;
  /** Gives the share back. The connection is closed when the last share is gone. */
  release(): void;
}

interface Shared {
  readonly tide: Tide;
  shares: number;
}

const connections = new Map<string, Shared>();

/**
 * A share in the connection to the server at `url`, which is made if there is none.
 *
 * @throws `TidegateError` with code `bad_option`, if `url` is not an address.
 */
export function share(url: string): Share {
  const key = new URL(url, document.baseURI).href;
  let shared = connections.get(key);
  if (shared === undefined || shared.tide.state.status === 'closed') {
    shared = { tide: connect(key), shares: 0 };
    connections.set(key, shared);
  }
  const own = shared;
  own.shares += 1;
  let isHeld = true;
  return {
    tide: own.tide,
    release: () => {
      if (isHeld) {
        isHeld = false;
        own.shares -= 1;
        // An element that is moved, or that replaces another one, asks again within the task.
        queueMicrotask(() => closeIfUnused(key, own));
      }
    },
  };
}

function closeIfUnused(key: string, shared: Shared): void {
  if (shared.shares === 0) {
    shared.tide.close();
    if (connections.get(key) === shared) {
      connections.delete(key);
    }
  }
}
