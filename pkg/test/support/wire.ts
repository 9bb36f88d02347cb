import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A wire to a server that can be cut and mended. */
export interface Wire {
  /** The address by which the server is reached over it. */
  readonly url: string;
  /** Cuts it, with all that goes over it, or mends it. */
  cut(isCut: boolean): void;
}

/** Lays a wire to the server at `behind`. */
export async function layWire(t: TestContext, behind: string): Promise<Wire> {
  const { port, hostname } = new URL(behind);
  const open = new Set<Socket>();
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
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}
