/** The program of the shared worker, which holds the connection for all tabs. */

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
const ports: MessagePort[] = [];
let isHosting = false;

scope.addEventListener('connect', ({ ports: [port] }) => {
  ports.push(port!);
  port!.addEventListener('message', ({ data }: MessageEvent<WorkerOrder>) => {
    if (!isHosting) {
      isHosting = true;
      hostTabs(data, () => scope.close(), fail);
    }
  });
  port!.start();
});

/** Tells all tabs that this worker can't serve them. */
function fail(): void {
  for (const port of ports) {
    port.postMessage('failed');
  }
  scope.close();
}
