/** Ports for servers that restart, or that can't choose one themselves. No other test gets the same ones meanwhile. */

import { createServer } from 'node:net';

/**
 * Below the system's ephemeral ports, apart from those of the Rust tests, and none that browsers refuse (the Fetch
 * standard's bad ports, of which the nearest are 6697 and 10080).
 */
const PORT_MIN = 7_000;
const PORTS = 3_000;

/** Each process begins at another port. */
let given = process.pid * 97;

/** A port that nobody listens on, and that is given out once. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries += 1) {
    given += 1;
    const port = PORT_MIN + (given % PORTS);
    if (await isFree(port)) {
      return port;
    }
  }
  throw new Error('no port is free');
}

/** An address at which a server can be started, and started again. */
export const freeAddress = async (): Promise<string> => `127.0.0.1:${await freePort()}`;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
