/** Frames between the wire and the core, member by member. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type ConnectOptions, connect, type Tide, TidegateError } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

async function setUp(options: ConnectOptions = {}): Promise<Tide> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, ...options });
  await host.settle();
  return tide;
}

test('texts of any script reach the server as they are', async () => {
  const token = 'größe "\\ 日本 🌊 \u0000\n';
  const tide = await setUp({ token });
  tide.subscribe('größe:"日本🌊\\', () => {});
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.take(), [
    { type: 'hello', token },
    { type: 'subscribe', pattern: 'größe:"日本🌊\\' },
  ]);
  tide.close();
});

test('everything that a subscription asks for is in its frame', async () => {
  const tide = await setUp();
  const since = [{ topic: 'a:1', epoch: 2 ** 53 - 1, offset: 0 }];
  tide.subscribe('a:*', { debounce: 5, maxWait: '1s', leading: true, conflate: 'merge', since }, () => {});
  tide.subscribe('b', { throttle: 10, trailing: false, conflate: { collect: 7 }, latest: false }, () => {});
  tide.subscribe('c', { since: [] }, () => {});
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.take().slice(1), [
    {
      type: 'subscribe',
      pattern: 'a:*',
      flow: { debounce_ms: 5, max_wait_ms: 1000, leading: true, trailing: true, conflate: 'merge' },
      since,
    },
    {
      type: 'subscribe',
      pattern: 'b',
      flow: { throttle_ms: 10, leading: true, trailing: false, conflate: 'collect', max: 7 },
      latest: false,
    },
    { type: 'subscribe', pattern: 'c', since: [] },
  ]);
  tide.close();
});

test('what a frame of the server lacks is named', async () => {
  const tide = await setUp();
  const messages: string[] = [];
  tide.on('error', ({ code, message }) => messages.push(`${code}: ${message}`));
  tide.subscribe('a', () => {});
  FakeSocket.last.open();
  FakeSocket.last.receive(
    { type: 'welcome' },
    { type: 'lagged', pattern: 'a', missed: -1 },
    { type: 'lagged', pattern: 'a::b', missed: 1 },
    { type: 'end', pattern: 'a', reason: 'bored' },
    { type: 'news' },
  );
  assert.match(messages[0]!, /^bad_frame: .*welcome.*heartbeat_ms/);
  assert.match(messages[1]!, /^bad_frame: .*lagged.*missed.*-1/);
  assert.match(messages[2]!, /^bad_topic: .*a::b.*byte 2/);
  assert.match(messages[3]!, /^bad_frame: /);
  assert.match(messages[4]!, /^bad_frame: .*news/);
  tide.close();
});

test('a conflation that is none is refused by code', async () => {
  const tide = await setUp();
  assert.throws(
    () => tide.subscribe('a', { throttle: 1, conflate: 'newest' as 'latest' }, () => {}),
    (error) => error instanceof TidegateError && error.code === 'bad_option',
  );
  tide.close();
});

test('what comes as a delta is handed over whole, and what has no base is asked for anew', async () => {
  const tide = await setUp();
  const seen: unknown[] = [];
  tide.subscribe('task:*', { delta: true }, ({ data }) => seen.push(data));
  const server = FakeSocket.last;
  server.open();
  assert.deepEqual(server.take()[1], { type: 'subscribe', pattern: 'task:*', flow: { delta: true } });
  const pub = { type: 'pub', topic: 'task:7', epoch: 3, via: 'task:*' };
  server.receive(
    { type: 'welcome', heartbeat_ms: 25_000 },
    { type: 'subscribed', pattern: 'task:*', recovered: false, flow: { delta: true } },
    { ...pub, offset: 1, data: { done: 46, by: { ada: 30, bob: 16 }, note: 'x' } },
    { ...pub, offset: 4, base: 1, delta: { done: 47, by: { ada: 31 }, note: null } },
    { ...pub, offset: 5, base: 4, delta: { done: 48 } },
  );
  assert.deepEqual(seen, [
    { done: 46, by: { ada: 30, bob: 16 }, note: 'x' },
    { done: 47, by: { ada: 31, bob: 16 } },
    { done: 48, by: { ada: 31, bob: 16 } },
  ]);
  server.take();
  server.receive({ ...pub, offset: 9, base: 8, delta: { done: 49 } });
  const since = [{ topic: 'task:7', epoch: 3, offset: 5 }];
  assert.deepEqual(server.take(), [
    { type: 'unsubscribe', pattern: 'task:*' },
    { type: 'subscribe', pattern: 'task:*', flow: { delta: true }, since },
  ]);
  assert.equal(seen.length, 3);
  tide.close();
});

test('frames leave together in messages of at most 16 KiB, each of them whole and in order', async () => {
  const tide = await setUp();
  FakeSocket.last.open();
  FakeSocket.last.take();
  FakeSocket.last.messages.splice(0);
  const lengths = Array.from({ length: 200 }, (_, index) => (index * 977) % 6_000);
  for (const length of lengths) {
    void tide.publish('a', 'ü'.repeat(length)).catch(() => {});
  }
  await Promise.resolve();
  const { messages } = FakeSocket.last;
  const sent = FakeSocket.last.take();
  assert.deepEqual(
    sent.map(({ data }) => (data as string).length),
    lengths.slice(0, sent.length),
  );
  assert.ok(sent.length > 50);
  const bytes = messages.map((message) => Buffer.byteLength(message));
  assert.ok(Math.max(...bytes) <= 16 * 1024, `a message has ${Math.max(...bytes)} bytes`);
  tide.close();
});

test('what is too long for the server is refused alone, and never sent', async () => {
  const tide = await setUp();
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'welcome', heartbeat_ms: 25_000, message_bytes_max: 1_000 });
  FakeSocket.last.take();
  const tooLong = tide.publish('a', { text: 'ü'.repeat(450) });
  const short = tide.publish('a', { text: 'u'.repeat(450) });
  await assert.rejects(
    tooLong,
    (error) =>
      error instanceof TidegateError && error.code === 'too_large' && /at most 1000/.test(error.message),
  );
  const [frame, ...others] = FakeSocket.last.take();
  assert.deepEqual(others, []);
  assert.deepEqual(frame!['data'], { text: 'u'.repeat(450) });
  FakeSocket.last.receive({ type: 'published', id: frame!['id'], topic: 'a', epoch: 1, offset: 1 });
  tide.close();
  await short.catch(() => {});
});
