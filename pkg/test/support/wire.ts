import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** The traffic from the server over a wire. */
export interface Carried {
  readonly bytes: number;
  /** The number of bytes sent to the server. */
  readonly bytesSent: number;
  /** Frames with a publication, whole or as a delta. */
  readonly publications: number;
}

/** A connection to a server that can be cut and repaired. */
export interface Wire {
  /** The server's address over this wire. */
  readonly url: string;
  /** Cuts it, with all its connections, or repairs it. */
  cut(isCut: boolean): void;
  carried(): Carried;
}

/** How a publication's frame begins, in messages that are not compressed. */
const PUBLICATION = '"type":"pub"';

/** Makes a wire to the server at `behind`. */
export async function layWire(t: TestContext, behind: string): Promise<Wire> {
  const { port, hostname } = new URL(behind);
  const open = new Set<Socket>();
  let bytes = 0;
  let bytesSent = 0;
  let publications = 0;
  let isCut = false;
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  };
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    keep(near);
    keep(far);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    near.pipe(far).pipe(near);
    near.on('data', (chunk: Buffer) => {
      bytesSent += chunk.length;
    });
    let rest = '';
    far.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      const pieces = (rest + chunk.toString('latin1')).split(PUBLICATION);
      publications += pieces.length - 1;
      rest = pieces.at(-1)!.slice(1 - PUBLICATION.length);
    });
  });
  const cut = (wanted: boolean): void => {
    isCut = wanted;
    if (isCut) {
      for (const socket of open) {
        socket.destroy();
      }
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    cut(true);
    server.close();
  });
  const { port: ownPort } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${ownPort}`, cut, carried: () => ({ bytes, bytesSent, publications }) };
}
