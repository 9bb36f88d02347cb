/** When it is worth while to try a connection again that waits: how often at most is for the core to say. */

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
