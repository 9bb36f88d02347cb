/** Tokens from a function, against a scripted server, in virtual time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type ConnectOptions, connect, type Tide } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

async function setUp(token: ConnectOptions['token']): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, ...(token && { token }) });
  tide.subscribe('job:1', () => {});
  await host.settle();
  return { host, tide };
}

/** The tokens sent to the server since the last call. */
const shown = (): unknown[] =>
  FakeSocket.last
    .take()
    .filter(({ type }) => type === 'hello')
    .map(({ token }) => token);

const welcome = (lastsMs: number): object => ({
  type: 'welcome',
  heartbeat_ms: 1_000_000_000,
  expires_in_ms: lastsMs,
});

test('a function gives the token for each connection, and another one before that ends', async () => {
  let count = 0;
  const { host, tide } = await setUp(async () => `token-${++count}`);
  const states: string[] = [];
  tide.on('state', ({ status }) => states.push(status));
  FakeSocket.last.open();
  assert.deepEqual(shown(), ['token-1']);
  const socket = FakeSocket.last;
  FakeSocket.last.receive(welcome(100_000));
  for (const next of ['token-2', 'token-3']) {
    host.advance(70_000);
    await host.settle();
    assert.deepEqual(shown(), [next]);
    FakeSocket.last.receive(welcome(100_000));
  }
  assert.equal(FakeSocket.last, socket);
  assert.deepEqual(states, ['connected']);
  FakeSocket.last.break();
  host.advance(20_000);
  await host.settle();
  FakeSocket.last.open();
  assert.deepEqual(shown(), ['token-4']);
  tide.close();
});

test('a function that fails is reported and asked again, and nothing is connected meanwhile', async () => {
  const answers: (() => unknown)[] = [
    () => Promise.reject(new Error('nobody is logged in')),
    () => undefined,
    () => '<html><h1>502 Bad Gateway</h1>',
    () => 'Bad Gateway',
    () => 'mine',
  ];
  const before = FakeSocket.made.length;
  const errors: string[] = [];
  const host = new VirtualHost();
  const token = (): string => (answers.shift() as () => string)();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, token });
  tide.on('error', ({ code, message }) => errors.push(`${code}: ${message}`));
  tide.subscribe('job:1', () => {});
  while (FakeSocket.made.length === before) {
    await host.settle();
    host.advance(1_000);
  }
  assert.deepEqual(errors, [
    'unauthorized: the token function failed: Error: nobody is logged in',
    'bad_option: the token function gave no text',
    `bad_option: the token function gave something that is no token: "<html><h1>502 Bad Gateway</h1>"`,
    `bad_option: the token function gave something that is no token: "Bad Gateway"`,
  ]);
  FakeSocket.last.open();
  assert.deepEqual(shown(), ['mine']);
  tide.close();
});

test('a refused token is replaced once, and then the connection is over', async () => {
  let count = 0;
  const { host, tide } = await setUp(() => `token-${++count}`);
  const refuse = (): void => {
    FakeSocket.last.open();
    FakeSocket.last.receive({ type: 'error', code: 'token_expired', message: 'over', fatal: true });
  };
  FakeSocket.last.receive(welcome(100_000));
  refuse();
  host.advance(1_000);
  await host.settle();
  assert.equal(tide.state.status, 'connecting');
  FakeSocket.last.open();
  assert.deepEqual(shown(), ['token-2']);
  assert.equal(tide.state.status, 'connected');
  tide.close();
});

test('a server and an application that are started anew together end no connection', async () => {
  let isDown = false;
  let count = 0;
  const { host, tide } = await setUp(() => (isDown ? `{"error":${++count}}` : `token-${++count}`));
  FakeSocket.last.open();
  FakeSocket.last.receive(welcome(1_000_000));
  isDown = true;
  FakeSocket.last.break();
  let socket = FakeSocket.last;
  const reasons = new Set<string | undefined>();
  const errors: unknown[] = [];
  tide.on('error', ({ code }) => errors.push(code));
  tide.on('state', (state) =>
    reasons.add('reason' in state ? `${state.status}, ${state.reason}` : undefined),
  );
  for (let refusal = 0; refusal < 6; refusal += 1) {
    while (FakeSocket.last === socket) {
      host.advance(100);
      await host.settle();
    }
    socket = FakeSocket.last;
    socket.accept();
    socket.receive({ type: 'error', code: 'unauthorized', message: 'InvalidToken', fatal: true });
    assert.equal(tide.state.status, 'disconnected');
  }
  isDown = false;
  while (FakeSocket.last === socket) {
    host.advance(100);
    await host.settle();
  }
  FakeSocket.last.open();
  FakeSocket.last.receive(welcome(1_000_000));
  assert.deepEqual(tide.state, { status: 'connected' });
  // A page that shows the state can say why it is connecting again.
  const refused = 'unauthorized: InvalidToken';
  assert.deepEqual([...reasons], [undefined, `disconnected, ${refused}`, `connecting, ${refused}`]);
  assert.deepEqual(errors, []);
  tide.close();
});

const disconnected = { type: 'error', code: 'disconnected', message: 'ended', fatal: true };

test('a function is asked anew when the connections of its user are ended, and subscriptions go on', async () => {
  let count = 0;
  const { host, tide } = await setUp(() => `token-${++count}`);
  const positions: unknown[] = [];
  tide.subscribe('job:1', ({ offset }) => positions.push(offset));
  FakeSocket.last.open();
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'job:1', position: { epoch: 7, offset: 0 }, recovered: false, flow: {} },
    { type: 'pub', topic: 'job:1', epoch: 7, offset: 1, data: 1 },
    disconnected,
  );
  assert.equal(tide.state.status, 'disconnected');
  host.advance(1_000);
  await host.settle();
  FakeSocket.last.accept();
  const [hello, subscribe] = FakeSocket.last.take();
  assert.equal(hello?.['token'], 'token-2');
  assert.deepEqual(subscribe?.['since'], [{ topic: 'job:1', epoch: 7, offset: 1 }]);
  assert.deepEqual(positions, [1]);
  tide.close();
});

test('who always shows the same token is told that its connections were ended', async () => {
  for (const options of [{ token: 'fixed' }, {}]) {
    const host = new VirtualHost();
    const tide = connect('http://example.test', { host, WebSocket: FakeSocket, ...options });
    const codes: string[] = [];
    tide.subscribe('job:1', { onError: ({ code }) => codes.push(code) }, () => {});
    await host.settle();
    FakeSocket.last.open();
    FakeSocket.last.receive(disconnected);
    const { state } = tide;
    assert.ok(state.status === 'closed' && state.error?.code === 'disconnected', JSON.stringify(state));
    assert.deepEqual(codes, ['disconnected']);
    assert.equal(host.armed, 0);
  }
});
