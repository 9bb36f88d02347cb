/** Starting the shared worker, and what it is told. */

/**
 * What a shared worker has to know.
 *
 * @internal
 */
export interface WorkerOrder {
  readonly url: string;
  readonly group: string;
  readonly generation: number;
  /** What the server knows the group by. */
  readonly knownAs: string;
  readonly token?: string;
  /** Whether tokens come from the tabs. */
  readonly asks?: boolean;
  readonly client?: string;
  readonly wasm?: string;
}

/**
 * What starts the worker. It is handed from the page down to where it is called: the worker runs the same connection, and bundlers that
 * found the worker's address in what the worker itself is made of would look into it for ever.
 *
 * @internal
 */
export type SpawnWorker = typeof spawnWorker;

/**
 * Starts the worker of this name, or attaches to it where it runs. Returns what detaches from it.
 *
 * @internal
 */
export function spawnWorker(name: string, order: WorkerOrder, onUnavailable: () => void): () => void {
  const worker = new SharedWorker(new URL('./worker.js', import.meta.url), { type: 'module', name });
  worker.addEventListener('error', onUnavailable);
  // All that it says here is that it can't go on.
  worker.port.addEventListener('message', onUnavailable);
  worker.port.start();
  worker.port.postMessage(order);
  return () => {
    worker.removeEventListener('error', onUnavailable);
    // A closed port may live as long as the page, with whatever listens to it.
    worker.port.removeEventListener('message', onUnavailable);
    worker.port.close();
  };
}
