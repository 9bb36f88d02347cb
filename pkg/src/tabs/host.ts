/** What a shared worker does. */

import { Connection } from '../tide.js';
import { Election } from './election.js';
import type { WorkerOrder } from './spawn.js';

/**
 * Has the connection that tabs share, in a worker, until another one takes its place, or until it can't go on: when its core
 * can't be loaded, or breaks too often.
 *
 * @internal
 */
export function hostTabs(order: WorkerOrder, onRetired: () => void, onFailed: () => void): void {
  const { url, group, generation, knownAs, asks, ...options } = order;
  // The core asks the tabs; a worker has no function of its own.
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
