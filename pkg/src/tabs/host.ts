/** The work of a shared worker. */

import { Connection } from '../tide.js';
import { Election } from './election.js';
import type { WorkerOrder } from './spawn.js';

/**
 * Holds the connection that tabs share, in a worker, until another worker takes over, or until it can't go on, because
 * its core can't be loaded or breaks too often.
 *
 * @internal
 */
export function hostTabs(order: WorkerOrder, onRetired: () => void, onFailed: () => void): void {
  const { url, group, generation, knownAs, asks, ...options } = order;
  // A worker has no token function of its own: its core asks the tabs.
  const own = asks ? { token: () => '' } : {};
  const retire = (): void => {
    connection.close();
    onRetired();
  };
  const membership = { group, generation, knownAs, election: Election.Host, retire };
  const connection: Connection = new Connection(url, { ...options, ...own }, { membership });
  connection.on('state', (state) => {
    if (state.status === 'closed' && state.error !== undefined) {
      onFailed();
    }
  });
}
