/** When it is worth while to try again what waits for the network: how often at most is for the core to say. */

/**
 * Calls `tell` once the network is back, where the browser says that there is none; returns whether it says so. Where it says
 * nothing, what has failed may have failed for good.
 *
 * @internal
 */
export function onceOnline(tell: () => void): boolean {
  const isOffline = globalThis.navigator?.onLine === false;
  if (isOffline) {
    addEventListener('online', () => tell(), { once: true });
  }
  return isOffline;
}

/**
 * Calls `tell` when the network is back, in a page and in a worker, or when the page has woken up; returns what ends that.
 *
 * @internal
 */
export function whenReachable(tell: () => void): () => void {
  // Node tells nothing of its network.
  if (typeof addEventListener === 'undefined') {
    return () => {};
  }
  const stop = new AbortController();
  const { signal } = stop;
  addEventListener('online', tell, { signal });
  addEventListener('pageshow', tell, { signal });
  if (typeof document !== 'undefined') {
    document.addEventListener('resume', tell, { signal });
  }
  return () => stop.abort();
}
