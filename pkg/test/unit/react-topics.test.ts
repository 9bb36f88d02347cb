/** `useTopics` without a browser: rendering on a server, and the store behind it. In a browser: `browser/`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createElement, type ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import { connect, createHub, type Hub, type Tide, type TidegateError } from 'tidegate';
import { TideProvider, type TopicStates, useTopics } from 'tidegate/react';

import { TopicStore } from '../../dist/react/topic-store.js';
import { TopicsStore } from '../../dist/react/topics-store.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const AT_ONCE = { flow: {}, key: '' };

/** The length of a frame where none is drawn. */
const FRAME_MS = 16;

interface Followed {
  readonly host: VirtualHost;
  readonly hub: Hub;
  readonly store: TopicsStore<number>;
  /** The maps that a component got. */
  readonly shown: TopicStates<number>[];
  readonly stop: () => void;
}

function follow(source: ConstructorParameters<typeof TopicsStore<number>>[2] = {}): Followed {
  const host = new VirtualHost();
  const hub = createHub({ host });
  const store = new TopicsStore<number>(hub, 'job:*', source, AT_ONCE);
  const shown: TopicStates<number>[] = [];
  const stop = store.subscribe(() => shown.push(store.state()));
  return { host, hub, store, shown, stop };
}

/** A map as texts. */
const inWords = (states: TopicStates<number>): string[] =>
  [...states].map(([topic, { status, data, end }]) => `${topic} ${status} ${data}${end ? ` ${end}` : ''}`);

test('each topic has its newest update, in the order in which they came; what comes together is one map', async () => {
  const { host, hub, store, shown, stop } = follow();
  const before = store.state();
  for (const [topic, data] of [
    ['job:2', 1],
    ['job:1', 2],
    ['job:2', 3],
  ] as const) {
    hub.publish(topic, data);
  }
  assert.equal(store.state(), before, 'no map comes before all of it is there');
  await host.settle();
  assert.deepEqual(shown.map(inWords), [['job:2 live 3', 'job:1 live 2']]);
  assert.equal(store.state(), shown[0]);

  const kept = store.state().get('job:1');
  hub.publish('job:2', 4);
  await host.settle();
  assert.equal(store.state().get('job:1'), kept, 'what has not changed is the same state');
  assert.deepEqual(inWords(shown[0]!), ['job:2 live 3', 'job:1 live 2'], 'what was shown stays as it was');
  stop();
  hub.close();
});

test('what ended stays as it ended, until it begins anew', async () => {
  const { host, hub, store } = follow();
  hub.publish('job:1', 1);
  hub.publish('job:1', 2, { end: 'failed' });
  hub.publish('job:2', 3);
  await host.settle();
  assert.deepEqual(inWords(store.state()), ['job:1 ended 2 failed', 'job:2 live 3']);
  hub.publish('job:1', 4, { restart: true });
  host.advance(FRAME_MS);
  await host.settle();
  assert.deepEqual(inWords(store.state()), ['job:1 live 4', 'job:2 live 3']);
  hub.close();
});

test('of more topics than are kept, one that has ended goes first, then the one that is silent for longest', async () => {
  const { host, hub, store } = follow({ keep: 3, initial: { 'job:0': 0 } });
  hub.publish('job:1', 1);
  hub.publish('job:2', 2);
  hub.publish('job:3', 3);
  await host.settle();
  assert.deepEqual([...store.state().keys()], ['job:1', 'job:2', 'job:3']);
  hub.publish('job:3', 3, { end: 'complete' });
  hub.publish('job:1', 1);
  hub.publish('job:4', 4);
  hub.publish('job:5', 5);
  await host.settle();
  assert.deepEqual([...store.state().keys()], ['job:1', 'job:4', 'job:5']);
  hub.close();
});

async function setUp(): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.take();
  return { host, tide };
}

const subscribed = { type: 'subscribed', pattern: 'job:*', recovered: false, flow: {} };
const pub = (topic: string, data: unknown, more: object = {}) => ({
  type: 'pub',
  topic,
  epoch: 7,
  offset: data,
  data,
  via: 'job:*',
  ...more,
});

test('a lost connection makes all stale that goes on, until it is back', async () => {
  const { host, tide } = await setUp();
  const store = new TopicsStore<number>(tide, 'job:*', {}, AT_ONCE);
  const shown: string[][] = [];
  store.subscribe(() => shown.push(inWords(store.state())));
  FakeSocket.last.receive(subscribed, pub('job:1', 1), pub('job:2', 2, { end: 'complete' }));
  await host.settle();
  FakeSocket.last.break();
  await host.settle();
  host.advance(250);
  FakeSocket.last.open();
  await host.settle();
  assert.deepEqual(shown, [
    ['job:1 live 1', 'job:2 ended 2 complete'],
    ['job:1 stale 1', 'job:2 ended 2 complete'],
    ['job:1 live 1', 'job:2 ended 2 complete'],
  ]);
  tide.close();
});

test('what a server that was started anew knows no more is gone, but for what has ended', async () => {
  const { host, tide } = await setUp();
  const store = new TopicsStore<number>(tide, 'job:*', {}, AT_ONCE);
  store.subscribe(() => {});
  FakeSocket.last.receive(subscribed, pub('job:1', 1), pub('job:2', 2, { end: 'complete' }), pub('job:3', 3));
  await host.settle();
  const reset = { type: 'reset', epoch: 0, offset: 0, via: 'job:*' };
  FakeSocket.last.receive({ ...reset, topic: 'job:1' }, { ...reset, topic: 'job:2' });
  FakeSocket.last.receive({ ...reset, topic: 'job:3', epoch: 8, offset: 5 });
  host.advance(FRAME_MS);
  await host.settle();
  assert.deepEqual(inWords(store.state()), ['job:2 ended 2 complete', 'job:3 live 3']);
  tide.close();
});

test('one topic that such a server knows no more waits again, but not if it has ended', async () => {
  const { host, tide } = await setUp();
  const waits = new TopicStore<number>(tide, 'job:*', { initial: 0 }, AT_ONCE);
  waits.subscribe(() => {});
  const reset = { type: 'reset', epoch: 0, offset: 0, via: 'job:*' };
  const states: string[] = [];
  for (const frames of [
    [subscribed, pub('job:1', 1)],
    [{ ...reset, topic: 'job:2' }],
    [{ ...reset, topic: 'job:1', epoch: 8, offset: 5 }],
    [{ ...reset, topic: 'job:1' }],
    [pub('job:1', 2, { epoch: 9, offset: 1, end: 'complete' })],
    [{ ...reset, topic: 'job:1' }],
  ]) {
    FakeSocket.last.receive(...frames);
    await host.settle();
    const { status, data } = waits.state();
    states.push(`${status} ${data}`);
  }
  // With wildcards, a topic that has ended does not end the subscription.
  assert.deepEqual(states, ['live 1', 'live 1', 'live 1', 'waiting 0', 'live 2', 'live 2']);
  tide.close();
});

test('a subscription that fails is an entry named like the pattern, and what it was of has failed', async () => {
  const { host, tide } = await setUp();
  const store = new TopicsStore<number>(tide, 'job:*', {}, AT_ONCE);
  store.subscribe(() => {});
  FakeSocket.last.receive(subscribed, pub('job:1', 1), pub('job:2', 2, { end: 'complete' }));
  FakeSocket.last.receive({ type: 'error', code: 'forbidden', message: 'no', pattern: 'job:*' });
  await host.settle();
  assert.deepEqual(inWords(store.state()), [
    'job:1 failed 1',
    'job:2 ended 2 complete',
    'job:* failed undefined',
  ]);
  assert.equal((store.state().get('job:*')!.error as TidegateError).code, 'forbidden');

  const bad = new TopicsStore<number>(tide, 'a::b', {}, AT_ONCE);
  bad.subscribe(() => {});
  await host.settle();
  assert.equal((bad.state().get('a::b')!.error as TidegateError).code, 'bad_topic');
  tide.close();
});

test('a pace that was refused is over with a good one, and what is known is as before', async () => {
  const { host, tide } = await setUp();
  const refused = { flow: { throttle: '2x' as '1s' }, key: 'refused' };
  const store = new TopicsStore<number>(tide, 'job:*', {}, refused);
  store.subscribe(() => {});
  await host.settle();
  assert.deepEqual(inWords(store.state()), ['job:* failed undefined']);
  store.setPace(AT_ONCE);
  FakeSocket.last.receive(subscribed, pub('job:1', 1), pub('job:2', 2, { end: 'complete' }));
  await host.settle();
  const known = ['job:1 live 1', 'job:2 ended 2 complete'];
  assert.deepEqual(inWords(store.state()), known);

  store.setPace(refused);
  await host.settle();
  assert.deepEqual(inWords(store.state()), [
    'job:1 failed 1',
    'job:2 ended 2 complete',
    'job:* failed undefined',
  ]);
  store.setPace(AT_ONCE);
  await host.settle();
  assert.deepEqual(inWords(store.state()), known);
  tide.close();
  await host.settle();
  store.setPace(refused);
  store.setPace(AT_ONCE);
  await host.settle();
  assert.equal((store.state().get('job:*')!.error as TidegateError).code, 'closed');
});

test('mounting twice, as strict mode does, keeps the one subscription; leaving for good gives it up', async () => {
  const { host, tide } = await setUp();
  const store = new TopicsStore<number>(tide, 'job:*', {}, AT_ONCE);
  store.subscribe(() => {})();
  const stop = store.subscribe(() => {});
  await host.settle();
  const sent = (): unknown[] => FakeSocket.last.take().map(({ type }) => type);
  assert.deepEqual(sent(), ['subscribe']);
  stop();
  await host.settle();
  assert.deepEqual(sent(), ['unsubscribe']);
  tide.close();
});

function Jobs({ initial }: { initial?: Record<string, number> }): ReactNode {
  const jobs = useTopics<number>('job:*', initial === undefined ? {} : { initial });
  return createElement('p', null, inWords(jobs).join());
}

test('a server renders what it was given, with and without a connection, and subscribes to nothing', async () => {
  const { tide } = await setUp();
  for (const provided of [null, tide]) {
    const render = (initial?: Record<string, number>): string =>
      renderToString(
        createElement(
          TideProvider,
          { tide: provided },
          createElement(Jobs, initial === undefined ? {} : { initial }),
        ),
      );
    assert.equal(render(), '<p></p>');
    assert.equal(render({ 'job:1': 3 }), '<p>job:1 waiting 3</p>');
  }
  assert.deepEqual(FakeSocket.last.take(), []);
  tide.close();
});
