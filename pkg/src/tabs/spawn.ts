/** Starts the shared worker. */

/**
 * Everything that a shared worker needs to know.
 *
 * @internal
 */
export interface WorkerOrder {
  readonly url: string;
  readonly group: string;
  readonly generation: number;
  /** The name by which the server knows the group. */
  readonly knownAs: string;
  readonly token?: string;
  /** Whether tokens come from the tabs. */
  readonly asks?: boolean;
  readonly client?: string;
  readonly wasm?: string;
}

/**
 * The function that starts the worker. It is passed down from the page, not imported where it is called: the worker
 * runs the same connection code, and a bundler that found the worker's own address in it would recurse forever.
 *
 * @internal
 */
export type SpawnWorker = typeof spawnWorker;

/**
 * Starts the worker of this name, or attaches to it if it runs. Returns a function that detaches from it.
 *
 * @internal
 */
export function spawnWorker(name: string, order: WorkerOrder, onUnavailable: () => void): () => void {
  const worker = new SharedWorker(new URL('./worker.js', import.meta.url), { type: 'module', name });
  worker.addEventListener('error', onUnavailable);
  // The only message that it sends this way is that it can't go on.
  worker.port.addEventListener('message', onUnavailable);
  worker.port.start();
  worker.port.postMessage(order);
  return () => {
    worker.removeEventListener('error', onUnavailable);
    // A closed port, with its listeners, may live as long as the page.
    worker.port.removeEventListener('message', onUnavailable);
    worker.port.close();
  };
}
