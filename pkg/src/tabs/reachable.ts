/** Notices when the network may be back, and retrying is worthwhile. The core limits how often. */

/**
 * If the browser is offline, calls `tell` once it is online again. Returns whether it is offline: if not, a failure may
 * be permanent.
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
 * Calls `tell` whenever the network is back, in a page or a worker, or the page has woken up, and `pause` when the page
 * is left or frozen. Returns a function that ends this.
 *
 * @internal
 */
export function whenReachable(tell: () => void, pause: () => void): () => void {
  // Node doesn't report on its network.
  if (typeof addEventListener === 'undefined') {
    return () => {};
  }
  const stop = new AbortController();
  const { signal } = stop;
  addEventListener('online', tell, { signal });
  addEventListener('pageshow', tell, { signal });
  if (typeof document !== 'undefined') {
    addEventListener('pagehide', pause, { signal });
    document.addEventListener('freeze', pause, { signal });
    document.addEventListener('resume', tell, { signal });
  }
  return () => stop.abort();
}
