/** `connect`: how a page or a program comes by a connection. */

import { Connection } from './tide.js';
import type { ConnectOptions, Tide } from './tide-types.js';

/**
 * Connects to the server at `url`: `http://host:8420`, `wss://host/base`, or relative to the page. It returns at once;
 * what is subscribed and published meanwhile waits.
 *
 * @throws {@link TidegateError} with code `bad_option`, if `url` is no address or an option not what it must be.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Tide {
  return new Connection(url, options) as Tide;
}
