/** The program of the shared worker: it has the connection, and what comes of it is said to all tabs. */

import { hostTabs } from './host.js';
import type { WorkerOrder } from './spawn.js';

interface WorkerScope {
  addEventListener(
    type: 'connect',
    listener: (event: { readonly ports: readonly MessagePort[] }) => void,
  ): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;
let isHosting = false;

scope.addEventListener('connect', ({ ports: [port] }) => {
  port!.addEventListener('message', ({ data }: MessageEvent<WorkerOrder>) => {
    if (!isHosting) {
      isHosting = true;
      hostTabs(data, () => scope.close());
    }
  });
  port!.start();
});
