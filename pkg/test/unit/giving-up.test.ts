/** A connection that can't begin: everything that waits for it fails, and it does not come back. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { type ConnectOptions, connect, type TideState } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const NO_MODULE = new Uint8Array([0]);

/** Removes the platform's WebSocket, so that none is available. */
function takeWebSocketAway(t: TestContext): void {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  Object.defineProperty(globalThis, 'WebSocket', {
    configurable: true,
    get: () => {
      throw new Error('none');
    },
  });
  t.after(() => {
    if (own === undefined) {
      delete (globalThis as { WebSocket?: unknown }).WebSocket;
    } else {
      Object.defineProperty(globalThis, 'WebSocket', own);
    }
  });
}

/** The states and errors of a connection that can't begin, while publishes and a subscription wait for it. */
async function hearEnd(options: ConnectOptions): Promise<{ states: TideState[]; codes: unknown[] }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, ...options });
  const states: TideState[] = [];
  const ended = new Promise<void>((resolve) => {
    tide.on('state', (state) => {
      states.push(state);
      if (state.status === 'closed') {
        resolve();
      }
    });
  });
  const codes: unknown[] = [];
  tide.subscribe('a', { onError: (error) => codes.push((error as { code?: string }).code) }, () => {});
  for (const topic of ['a', 'b']) {
    tide.publish(topic, 1).catch((error) => codes.push(error.code));
  }
  // A module is compiled beside the program, however long the machine takes for it.
  await ended;
  await host.settle();
  host.advance(60_000);
  await host.settle();
  assert.equal(tide.state.status, 'closed');
  assert.throws(() => tide.subscribe('a', () => {}), { code: 'closed' });
  await assert.rejects(tide.publish('a', 1), { code: 'closed' });
  assert.equal(host.armed, 0);
  return { states, codes };
}

test('without a core, publishes and subscriptions that wait fail with the reason', async () => {
  const { states, codes } = await hearEnd({ wasm: NO_MODULE, WebSocket: FakeSocket });
  assert.deepEqual(codes, ['load_failed', 'load_failed', 'load_failed']);
  assert.deepEqual(
    states.map(({ status }) => status),
    ['closed'],
  );
});

test('without a WebSocket they do, too, and what is closed stays closed', async (t) => {
  takeWebSocketAway(t);
  const { states, codes } = await hearEnd({});
  assert.deepEqual(codes, ['internal', 'internal', 'internal']);
  assert.deepEqual(
    states.map(({ status }) => status),
    ['closed'],
  );
});

test('a publish that waits for the core is rejected when the connection is closed before', async () => {
  const before = FakeSocket.made.length;
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, wasm: NO_MODULE });
  const publish = tide.publish('a', 1);
  tide.close();
  await assert.rejects(publish, { code: 'closed' });
  await host.settle();
  assert.equal(tide.state.status, 'closed');
  assert.equal(FakeSocket.made.length, before);
});
