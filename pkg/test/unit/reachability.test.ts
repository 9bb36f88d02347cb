/**
 * A connection that was never established reports why, as far as that can be found out. In a real browser: `browser/`.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';

import { type ConnectOptions, connect, type Tide, type TideState } from 'tidegate';
import { WebSocket } from 'ws';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const PAGE = 'http://page.test';

interface Heard {
  readonly host: VirtualHost;
  readonly tide: Tide;
  readonly states: TideState[];
  readonly errors: unknown[];
}

function listen(url: string, options: ConnectOptions = {}): Heard {
  const host = new VirtualHost();
  const tide = connect(url, { host, ...options });
  const states: TideState[] = [];
  const errors: unknown[] = [];
  tide.on('state', (state) => states.push(state));
  tide.on('error', ({ code, message }) => errors.push([code, message]));
  tide.subscribe('a', () => {});
  return { host, tide, states, errors };
}

/**
 * Pretends that the program is a page of {@link PAGE}, or of an opaque origin, whose requests get `answer`. Returns the
 * requested addresses.
 */
function pretendPage(t: TestContext, answer: () => Response, origin: string | null = PAGE): string[] {
  const asked: string[] = [];
  const fetch = async (url: string, { mode }: { mode: string }): Promise<Response> => {
    asked.push(`${mode} ${url}`);
    return answer();
  };
  const globals = { WebSocket: FakeSocket, origin: origin ?? undefined, fetch };
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
  return asked;
}

/** Lets time pass until the connection is retried. */
function tryAgain(host: VirtualHost): void {
  const { length } = FakeSocket.made;
  while (FakeSocket.made.length === length) {
    host.advance(50);
  }
}

/** Lets this many handshakes fail, one after the other. */
async function failHandshakes({ host }: Heard, count: number): Promise<void> {
  for (let failed = 0; failed < count; failed += 1) {
    await host.settle();
    FakeSocket.last.break({ code: 1006, reason: '' });
    tryAgain(host);
  }
  await host.settle();
}

const refuse = (): never => {
  throw new TypeError('Failed to fetch');
};

for (const [where, url, answer, asked, expected] of [
  [
    'where nobody answers',
    'http://nowhere.test:1?ticket=secret',
    refuse,
    'no-cors http://nowhere.test:1/ws',
    /^cannot reach http:\/\/nowhere\.test:1\/ws: /,
  ],
  [
    'where there is no Tidegate',
    PAGE,
    () => new Response('no such page', { status: 404 }),
    'cors http://page.test/ws',
    /^no Tidegate at http:\/\/page\.test\/ws: status 404$/,
  ],
  [
    'where the server says why',
    PAGE,
    () => Response.json({ error: { code: 'forbidden', message: 'not by this name' } }, { status: 403 }),
    'cors http://page.test/ws',
    /^http:\/\/page\.test\/ws refuses: not by this name$/,
  ],
  [
    'where another origin answers, and lets the page not in',
    'https://server.test',
    () => new Response(),
    'no-cors https://server.test/ws',
    /^https:\/\/server\.test\/ws answers, .*--origin http:\/\/page\.test/,
  ],
  [
    'where a proxy keeps WebSockets back',
    PAGE,
    () => new Response('', { status: 426 }),
    'cors http://page.test/ws',
    /^http:\/\/page\.test\/ws answers, but accepts no WebSocket from http:\/\/page\.test: .*proxies/,
  ],
] as const) {
  test(`a page is told once why there is no connection, ${where}`, async (t) => {
    const requests = pretendPage(t, answer);
    const heard = listen(url);
    await failHandshakes(heard, 4);
    assert.deepEqual(requests, [asked]);
    const { tide, states, errors } = heard;
    const reason = (tide.state as { reason?: string }).reason;
    assert.match(reason!, expected);
    assert.doesNotMatch(reason!, /secret/);
    assert.deepEqual(errors, [['unreachable', reason]]);
    assert.deepEqual(states.at(-1), { status: 'connecting', attempt: 4, reason });

    FakeSocket.last.open();
    assert.deepEqual(tide.state, { status: 'connected' });
    FakeSocket.last.break({ code: 1001, reason: 'the server goes' });
    assert.deepEqual(tide.state, {
      status: 'disconnected',
      reason: 'closed with code 1001: the server goes',
    });
    tryAgain(heard.host);
    await heard.host.settle();
    assert.deepEqual([requests.length, errors.length], [1, 1], 'what stood once is not asked after');
    tide.close();
  });
}

test('a server is not blamed for a token that is not to be had', async (t) => {
  const requests = pretendPage(t, () => new Response('', { status: 426 }));
  const token = (): Promise<string> => Promise.reject(new Error('the login is down'));
  const { host, tide, errors } = listen(PAGE, { token });
  while ((tide.state as { attempt?: number }).attempt !== 5) {
    await host.settle();
    host.advance(1_000);
  }
  await host.settle();
  assert.deepEqual([requests, 'reason' in tide.state], [[], false]);
  assert.deepEqual(new Set(errors.map((error) => (error as string[])[0])), new Set(['unauthorized']));
  tide.close();
});

test('a server that has started since the first socket is not blamed, and one that takes none later is', async (t) => {
  for (const isStarted of [true, false]) {
    const requests = pretendPage(t, () => new Response());
    const heard = listen('https://server.test');
    await failHandshakes(heard, 1);
    assert.deepEqual([requests.length, heard.errors], [1, []]);
    if (isStarted) {
      FakeSocket.last.open();
    } else {
      FakeSocket.last.break({ code: 1006, reason: '' });
    }
    await heard.host.settle();
    assert.equal(heard.errors.length, isStarted ? 0 : 1);
    heard.tide.close();
  }
});

test('a handshake that hangs until it is given up is a reason to ask, too', async (t) => {
  const requests = pretendPage(t, refuse);
  const { host, tide, errors } = listen(PAGE);
  await host.settle();
  tryAgain(host);
  await host.settle();
  assert.deepEqual([requests.length, errors.length], [1, 1]);
  tide.close();
});

test('what a server says that lets nobody in after the handshake is the reason', async (t) => {
  const requests = pretendPage(t, () => new Response());
  const { host, tide, errors } = listen(PAGE);
  await host.settle();
  FakeSocket.last.accept();
  FakeSocket.last.break({ code: 1013, reason: 'too many' });
  tryAgain(host);
  await host.settle();
  assert.deepEqual([requests, errors], [[], [['unreachable', 'closed with code 1013: too many']]]);
  tide.close();
});

test('a connection that was closed or stands when the answer comes tells nobody', async (t) => {
  for (const settle of [(heard: Heard) => heard.tide.close(), () => FakeSocket.last.open()]) {
    let answer!: (response: Response) => void;
    const answering = new Promise<Response>((resolve) => {
      answer = resolve;
    });
    pretendPage(t, () => answering as unknown as Response);
    const heard = listen(PAGE);
    await failHandshakes(heard, 1);
    settle(heard);
    const { status } = heard.tide.state;
    answer(new Response('', { status: 404 }));
    await heard.host.settle();
    assert.deepEqual([heard.errors, heard.tide.state], [[], { status }]);
    heard.tide.close();
  }
});

test('without a listener, the console is told once', async (t) => {
  pretendPage(t, refuse);
  const warn = t.mock.method(console, 'warn', () => {});
  const host = new VirtualHost();
  const tide = connect(PAGE, { host });
  tide.subscribe('a', () => {});
  await failHandshakes({ host, tide, states: [], errors: [] }, 3);
  assert.equal(warn.mock.callCount(), 1);
  assert.match(String(warn.mock.calls[0]!.arguments[0]), /^tidegate: cannot reach http:\/\/page\.test\/ws/);
  tide.close();
});

for (const [what, answer, reason] of [
  [
    'nobody answers',
    () => {
      throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') });
    },
    'cannot reach http://127.0.0.1:1/ws: connect ECONNREFUSED 127.0.0.1:1',
  ],
  [
    'WebSockets are kept back',
    () => new Response('', { status: 426 }),
    'http://127.0.0.1:1/ws answers, but accepts no WebSocket',
  ],
] as const) {
  test(`where a program has a WebSocket of the platform, it is told that ${what}`, async (t) => {
    pretendPage(t, answer, null);
    const heard = listen('http://127.0.0.1:1');
    await failHandshakes(heard, 2);
    assert.deepEqual(heard.errors, [['unreachable', reason]]);
    heard.tide.close();
  });
}

test('in Node, the package ws says what went wrong', async (t) => {
  const server = createServer();
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const heard = listen(url, { WebSocket });
  await new Promise<void>((resolve) => {
    heard.tide.on('error', () => resolve());
    heard.tide.on('state', ({ status }) => status === 'disconnected' && heard.host.advance(1_000));
  });
  const reason = 'Unexpected server response: 403';
  assert.deepEqual(heard.errors, [['unreachable', reason]]);
  assert.deepEqual(heard.states, [
    { status: 'disconnected', reason },
    { status: 'connecting', attempt: 1, reason },
  ]);
  heard.tide.close();
});
