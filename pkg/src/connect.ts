/** `connect`: opens a connection to a server. */

import { spawnWorker } from './tabs/spawn.js';
import { Connection } from './tide.js';
import type { ConnectOptions, Tide } from './tide-types.js';

/**
 * Connects to the server at `url`: `http://host:8420`, `wss://host/base`, or relative to the page. It returns at once;
 * subscriptions and publications wait for the connection.
 *
 * @throws {@link TidegateError} with code `bad_option`, if `url` is not an address or an option is invalid.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Tide {
  return new Connection(url, options, { spawn: spawnWorker }) as Tide;
}
