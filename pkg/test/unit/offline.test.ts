/**
 * A page that is opened offline can't load its core: once the network is back, the core is loaded, and everything goes
 * on.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';

import { connect, type TideState } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const WASM = 'http://example.test/client.wasm';

/** Pretends that the program is a page in a browser, online or offline. */
function pretendBrowser(t: TestContext): { page: EventTarget; network: { isThere: boolean } } {
  const page = new EventTarget();
  const network = { isThere: false };
  const fetch = async (): Promise<Response> => {
    if (!network.isThere) {
      throw new TypeError('Failed to fetch');
    }
    return new Response(readFileSync('dist/wasm/client.wasm'));
  };
  const navigator = {
    get onLine(): boolean {
      return network.isThere;
    },
  };
  const globals = { navigator, fetch, addEventListener: page.addEventListener.bind(page) };
  for (const [name, value] of Object.entries(globals)) {
    const own = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.after(() => {
      delete (globalThis as Record<string, unknown>)[name];
      if (own !== undefined) {
        Object.defineProperty(globalThis, name, own);
      }
    });
  }
  return { page, network };
}

async function settle(host: VirtualHost): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  await host.settle();
}

test('what a connection without a core waits for is the network, where the browser has none', {
  timeout: 60_000,
}, async (t) => {
  const { page, network } = pretendBrowser(t);
  const host = new VirtualHost();
  const states: TideState[] = [];
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, wasm: WASM });
  const closed = connect('http://example.test', { host, WebSocket: FakeSocket, wasm: WASM });
  tide.on('state', (state) => states.push(state));
  const errors: unknown[] = [];
  tide.subscribe('a', { onError: (error) => errors.push(error) }, () => {});
  const made = FakeSocket.made.length;
  await settle(host);
  const [{ status, reason }] = states as [TideState & { reason?: string }];
  assert.equal(status, 'connecting');
  assert.match(reason ?? '', /could not be loaded: TypeError: Failed to fetch/);
  closed.close();
  // The network was only back for a moment, and is gone again.
  page.dispatchEvent(new Event('online'));
  await settle(host);
  assert.equal(FakeSocket.made.length, made);
  network.isThere = true;
  page.dispatchEvent(new Event('online'));
  // The module is compiled in the background.
  while (FakeSocket.made.length === made) {
    await settle(host);
  }
  FakeSocket.last.open();
  assert.deepEqual(tide.state, { status: 'connected' });
  assert.equal(FakeSocket.made.length, made + 1, 'what was closed stays closed');
  assert.deepEqual(errors, []);
  tide.close();
});
