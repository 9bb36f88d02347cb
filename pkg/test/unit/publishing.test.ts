/** Publishes that nobody awaits, and those that a closed connection leaves unanswered. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { connect, type Tide, TidegateError } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

/** The most publishes that may wait for their answer. */
const WAITING_MAX = 1_024;

function setUp(): { host: VirtualHost; tide: Tide } {
  const host = new VirtualHost();
  return { host, tide: connect('http://example.test', { host, WebSocket: FakeSocket }) };
}

/** Answers publishes until no more are sent; returns their number. */
function answerAll(): number {
  let answered = 0;
  for (let sent = FakeSocket.last.take(); sent.length > 0; sent = FakeSocket.last.take()) {
    const publishes = sent.filter(({ type }) => type === 'publish');
    answered += publishes.length;
    FakeSocket.last.receive(
      ...publishes.map(({ ref }, nth) => ({ type: 'published', ref, epoch: 7, offset: nth + 1 })),
    );
  }
  return answered;
}

function publish(tide: Tide, count: number): void {
  for (let value = 0; value < count; value += 1) {
    void tide.publish('a', value);
  }
}

function watchConsole(t: TestContext): string[] {
  const warned: string[] = [];
  t.mock.method(console, 'warn', (text: string) => warned.push(text));
  return warned;
}

test('what a publisher says of the end is sent', async () => {
  const { host, tide } = setUp();
  await host.settle();
  FakeSocket.last.open();
  await host.settle();
  FakeSocket.last.take();
  void tide.publish('orders', { status: 'failed' }, { end: 'none' });
  void tide.publish('orders', { status: 'failed' }, { end: 'failed' });
  void tide.publish('orders', { status: 'failed' });
  await host.settle();
  const publishes = FakeSocket.last.take().filter(({ type }) => type === 'publish');
  assert.deepEqual(
    publishes.map(({ end }) => end),
    ['none', 'failed', undefined],
  );
  tide.close();
});

test('publishes beyond those that may wait are told of once, until all that waited were answered', async (t) => {
  const warned = watchConsole(t);
  const { host, tide } = setUp();
  const told: string[] = [];
  tide.on('error', ({ code, message }) => told.push(`${code}: ${message}`));
  publish(tide, WAITING_MAX + 500);
  await host.settle();
  FakeSocket.last.open();
  await host.settle();
  assert.deepEqual(told, ['too_many_requests: 1024 publishes wait for their answer; wait for some of them']);
  // One is answered, but as long as others wait, a new excess is not reported again.
  const [first] = FakeSocket.last.take().filter(({ type }) => type === 'publish');
  FakeSocket.last.receive({ type: 'published', ref: first?.['ref'], epoch: 7, offset: 1 });
  publish(tide, 2);
  assert.equal(told.length, 1);
  FakeSocket.last.break();
  host.advance(1_000);
  FakeSocket.last.open();
  assert.equal(answerAll(), WAITING_MAX);

  publish(tide, WAITING_MAX);
  assert.equal(told.length, 1);
  publish(tide, 10);
  assert.equal(told.length, 2);
  assert.deepEqual(warned, [], 'somebody listens');
  tide.close();
});

test('the console is told where nobody listens', async (t) => {
  const warned = watchConsole(t);
  const { host, tide } = setUp();
  await host.settle();
  publish(tide, WAITING_MAX);
  assert.deepEqual(warned, []);
  await assert.rejects(tide.publish('a', 1), { code: 'too_many_requests' });
  publish(tide, 10);
  assert.equal(warned.length, 1);
  assert.match(warned[0]!, /^tidegate: 1024 publishes wait/);
  tide.close();
});

test('what the server refuses is for who awaits it alone', async (t) => {
  const warned = watchConsole(t);
  const { host, tide } = setUp();
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.take();
  const answer = tide.publish('a', 1);
  const [{ ref } = {}] = FakeSocket.last.take();
  FakeSocket.last.receive({ type: 'error', code: 'too_many_requests', message: 'slowly', ref });
  await assert.rejects(answer, { code: 'too_many_requests' });
  assert.deepEqual(warned, []);
  tide.close();
});

test('closing rejects what is unanswered with the same code, whenever it was published', async () => {
  const isClosed = (error: unknown) => error instanceof TidegateError && error.code === 'closed';
  const { tide: unbegun } = setUp();
  const early = unbegun.publish('a', 1);
  unbegun.close();
  await assert.rejects(early, isClosed);

  for (const isOpened of [false, true]) {
    const { host, tide } = setUp();
    await host.settle();
    if (isOpened) {
      FakeSocket.last.open();
    }
    const answer = tide.publish('a', 1);
    tide.close();
    await assert.rejects(answer, isClosed);
    await assert.rejects(tide.publish('a', 2), isClosed);
  }
});
