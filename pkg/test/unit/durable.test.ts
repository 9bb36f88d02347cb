/** Durable subscriptions against a scripted server, in virtual time: what is acknowledged, and when. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, createHub, type Tide, TidegateError, type Update } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const pub = (offset: number) => ({ type: 'pub', topic: 'user:7', epoch: 7, offset, data: offset });

const at = (offset: number) => [{ topic: 'user:7', epoch: 7, offset }];

const ack = (offset: number) => ({ type: 'ack', pattern: 'user:7', positions: at(offset) });

async function setUp(handler: (update: Update) => unknown): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.subscribe('user:7', { durable: 'phone' }, handler);
  await host.settle();
  FakeSocket.last.open();
  const [, subscribe] = FakeSocket.last.take();
  assert.equal(subscribe?.['durable'], 'phone');
  FakeSocket.last.receive({
    type: 'subscribed',
    pattern: 'user:7',
    position: { epoch: 7, offset: 0 },
    recovered: true,
    flow: {},
  });
  return { host, tide };
}

const acks = () => FakeSocket.last.take().filter((frame) => frame['type'] === 'ack');

test('what a handler has dealt with is told within a second, and once for many', async () => {
  const { host, tide } = await setUp(() => {});
  FakeSocket.last.receive(pub(1), pub(2), pub(3));
  await host.settle();
  assert.deepEqual(acks(), []);
  await host.advance(1_000);
  assert.deepEqual(acks(), [ack(3)]);
  for (let offset = 4; offset < 36; offset += 1) {
    FakeSocket.last.receive(pub(offset));
  }
  await host.settle();
  assert.deepEqual(acks(), [ack(35)], '32 are told at once');
  tide.close();
});

test('a promise is dealt with when it resolves, and in the order of the updates', async () => {
  const settle: (() => void)[] = [];
  const { host, tide } = await setUp(() => new Promise<void>((resolve) => settle.push(resolve)));
  FakeSocket.last.receive(pub(1), pub(2), pub(3));
  await host.settle();
  settle[1]?.();
  await host.settle();
  await host.advance(2_000);
  assert.deepEqual(acks(), [], 'the first one is not dealt with');
  settle[0]?.();
  await host.settle();
  await host.advance(1_000);
  assert.deepEqual(acks(), [ack(2)]);
  tide.close();
});

test('what a handler has thrown at is not told, nor what came after it', async () => {
  const reported: unknown[] = [];
  const scope = globalThis as { reportError?: (error: unknown) => void };
  scope.reportError = (error) => reported.push(error);
  const { host, tide } = await setUp((update) => {
    if (update.offset === 2) {
      throw new Error('on purpose');
    }
  });
  FakeSocket.last.receive(pub(1), pub(2), pub(3));
  await host.settle();
  await host.advance(1_000);
  assert.deepEqual(acks(), [ack(1)]);
  tide.close();
  delete scope.reportError;
  assert.match(String(reported), /on purpose/);
});

const terminal = (offset: number) => ({ ...pub(offset), end: 'complete' });

const END = { type: 'end', pattern: 'user:7', reason: 'complete' };

test('a terminal publication is told at once when it is dealt with, and nothing is left to tell', async () => {
  const order: string[] = [];
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  const onEnd = () => order.push('end');
  tide.subscribe('user:7', { durable: 'phone', onEnd }, ({ offset }) => order.push(String(offset)));
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'subscribed', pattern: 'user:7', recovered: true, flow: {} });
  FakeSocket.last.take();
  FakeSocket.last.receive(pub(1), terminal(2), END);
  await host.settle();
  assert.deepEqual(order, ['1', '2', 'end']);
  assert.deepEqual(acks(), [ack(2)]);
  await host.advance(5_000);
  assert.deepEqual(acks(), []);
  // The name is free for it again, and so is another.
  tide.subscribe('user:7', { durable: 'tablet' }, () => {});
  tide.close();
});

test('a terminal publication that takes time is told once it is dealt with', async () => {
  const settle: (() => void)[] = [];
  const { host, tide } = await setUp(() => new Promise<void>((resolve) => settle.push(resolve)));
  FakeSocket.last.receive(pub(1), terminal(2), END);
  await host.settle();
  await host.advance(2_000);
  assert.deepEqual(acks(), []);
  settle[0]?.();
  settle[1]?.();
  await host.settle();
  assert.deepEqual(acks(), [ack(2)]);
  tide.close();
});

test('a terminal publication at which its handler throws is not told', async () => {
  const scope = globalThis as { reportError?: (error: unknown) => void };
  scope.reportError = () => {};
  const { host, tide } = await setUp(() => {
    throw new Error('on purpose');
  });
  FakeSocket.last.receive(terminal(1), END);
  await host.settle();
  await host.advance(5_000);
  assert.deepEqual(acks(), []);
  tide.close();
  assert.deepEqual(acks(), []);
  delete scope.reportError;
});

test('what is left is told before the subscription ends, and forgetting is', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  const subscription = tide.subscribe('user:7', { durable: 'phone' }, () => {});
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'subscribed', pattern: 'user:7', recovered: true, flow: {} }, pub(1));
  await host.settle();
  FakeSocket.last.take();
  subscription();
  assert.deepEqual(FakeSocket.last.take(), [ack(1), { type: 'unsubscribe', pattern: 'user:7' }]);
  const again = tide.subscribe('user:7', { durable: 'phone' }, () => {});
  again.forget();
  const [, forget] = FakeSocket.last.take();
  assert.deepEqual(forget, { type: 'forget', pattern: 'user:7' });
  assert.equal(again.active, false);
  tide.close();
});

test('a name that is none, another name for the same, and a hub in the page are refused', async () => {
  const { tide } = await setUp(() => {});
  const refused = (code: string) => (error: unknown) => error instanceof TidegateError && error.code === code;
  assert.throws(() => tide.subscribe('user:8', { durable: '' }, () => {}), refused('bad_option'));
  assert.throws(
    () => tide.subscribe('user:8', { durable: 'phone', throttle: 'frame' }, () => {}),
    refused('bad_option'),
    'what is paced by frames leaves out what nobody has dealt with',
  );
  assert.throws(
    () => tide.subscribe('user:7', { durable: 'tablet' }, () => {}),
    refused('already_subscribed'),
  );
  const hub = createHub();
  assert.throws(() => hub.subscribe('user:7', { durable: 'phone' }, () => {}), refused('bad_option'));
  tide.close();
});
