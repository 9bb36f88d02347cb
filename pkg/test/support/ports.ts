/** Ports for servers that go and come back, or that must be told one: nobody else finds them free meanwhile. */

import { createServer } from 'node:net';

/** Below the ports that the system gives away by itself, and beside those of the tests in Rust. */
const PORT_MIN = 5_000;
const PORTS = 5_000;

/** Each process begins elsewhere. */
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
