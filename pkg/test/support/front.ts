import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { extname, join, normalize } from 'node:path';
import type { TestContext } from 'node:test';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};

/**
 * A static server of `folder` that passes WebSockets on to the server at `behind`, as a reverse proxy does: with the
 * host that the page was loaded from, and for frames with an opaque origin, which it lets in. Returns its address.
 * Paths that are not `isServed` are not found.
 */
export async function startFront(
  t: TestContext,
  folder: string,
  behind: string,
  headers: Readonly<Record<string, string>> = {},
  isServed: (path: string) => boolean = () => true,
): Promise<string> {
  const front = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://front').pathname));
    const file = join(folder, path.endsWith('/') ? `${path}index.html` : path);
    try {
      assert.ok(isServed(path));
      const body = await readFile(file);
      response.writeHead(200, { ...headers, 'content-type': CONTENT_TYPES[extname(file)] ?? 'text/plain' });
      response.end(body);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' });
      response.end(`there is no ${path}`);
    }
  });
  front.on('upgrade', (request, socket, head) => {
    const target = new URL(behind);
    const upstream = connect(Number(target.port), target.hostname, () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let index = 0; index < request.rawHeaders.length; index += 2) {
        if (request.rawHeaders[index + 1] !== 'null') {
          lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
        }
      }
      upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(() => {
    front.closeAllConnections();
    front.close();
  });
  return `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
}
