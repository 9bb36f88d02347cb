/** The React entry without a browser: rendering on a server, and the store behind `useTopic`. In a browser: `browser/`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createElement, type ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import { connect, createHub, type Tide, TidegateError } from 'tidegate';
import { TideProvider, type TopicState, useConnection, useProgress, useTide, useTopic } from 'tidegate/react';

import { progressState } from '../../dist/react/progress-state.js';
import { TopicStore } from '../../dist/react/topic-store.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const AT_ONCE = { flow: {}, key: '' };

async function setUp(): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.take();
  return { host, tide };
}

const subscribed = (pattern: string) => ({
  type: 'subscribed',
  pattern,
  position: { epoch: 7, offset: 0 },
  recovered: false,
  flow: {},
});
const pub = (offset: number, data: unknown, more: object = {}) => ({
  type: 'pub',
  topic: 'job:1',
  epoch: 7,
  offset,
  data,
  ...more,
});

function Progress({ initial }: { initial?: number }): ReactNode {
  const { data, status } = useTopic<number>('job:1', initial === undefined ? {} : { initial });
  const connection = useConnection();
  return createElement('p', null, `${status} ${data} ${connection.status}`);
}

test('the connection of the provider is there for whoever asks; without a provider that is said', async () => {
  const { tide } = await setUp();
  const seen: unknown[] = [];
  const Asking = (): ReactNode => {
    seen.push(useTide());
    return null;
  };
  for (const provided of [null, tide]) {
    renderToString(createElement(TideProvider, { tide: provided }, createElement(Asking)));
  }
  assert.deepEqual(seen, [null, tide]);
  assert.throws(() => renderToString(createElement(Asking)), /useTide has no connection: .*<TideProvider/);
  tide.close();
});

test('a server renders the initial state, with and without a connection, and subscribes to nothing', async () => {
  const { tide } = await setUp();
  for (const provided of [null, tide]) {
    const render = (initial?: number): string =>
      renderToString(
        createElement(
          TideProvider,
          { tide: provided },
          createElement(Progress, initial === undefined ? {} : { initial }),
        ),
      );
    assert.equal(render(), '<p>waiting undefined connecting</p>');
    assert.equal(render(3), '<p>waiting 3 connecting</p>');
  }
  assert.deepEqual(FakeSocket.last.take(), []);
  tide.close();
});

test('a hook without a connection says what is missing', () => {
  assert.throws(
    () => renderToString(createElement(Progress)),
    (error) => error instanceof TidegateError && /TideProvider/.test(error.message),
  );
});

test('a connection before a pattern that is undefined is none', async () => {
  const { tide } = await setUp();
  const Asking = (): ReactNode => useTopic(tide, undefined as never).status;
  assert.equal(renderToString(createElement(Asking)), 'waiting', 'no provider is asked for');
  tide.close();
});

test('a snapshot is the same object until something changes', async () => {
  const { tide } = await setUp();
  const store = new TopicStore<number>(tide, 'job:1', {}, AT_ONCE);
  const states: TopicState<number>[] = [];
  const stop = store.subscribe(() => states.push(store.state()));
  const before = store.state();
  assert.equal(store.state(), before);
  FakeSocket.last.receive(subscribed('job:1'), pub(1, 10));
  assert.equal(states.length, 1);
  assert.equal(store.state(), states[0]);
  assert.deepEqual([states[0]?.status, states[0]?.data], ['live', 10]);
  stop();
  tide.close();
});

test('mounting twice, as strict mode does, keeps the one subscription; leaving for good gives it up', async () => {
  const { host, tide } = await setUp();
  const store = new TopicStore<number>(tide, 'job:1', {}, AT_ONCE);
  store.subscribe(() => {})();
  const stop = store.subscribe(() => {});
  await host.settle();
  assert.deepEqual(
    FakeSocket.last.take().map(({ type }) => type),
    ['subscribe'],
  );
  FakeSocket.last.receive(subscribed('job:1'), pub(1, 10));
  assert.equal(store.state().data, 10);
  stop();
  stop();
  await host.settle();
  assert.deepEqual(
    FakeSocket.last.take().map(({ type }) => type),
    ['unsubscribe'],
  );
  tide.close();
});

test('a lost connection makes what is known stale, an end is kept, and no state comes without a change', async () => {
  const { host, tide } = await setUp();
  const store = new TopicStore<number>(tide, 'job:1', {}, AT_ONCE);
  const seen: string[] = [];
  store.subscribe(() => seen.push(`${store.state().status} ${store.state().data} ${store.state().end}`));
  FakeSocket.last.receive(subscribed('job:1'), pub(1, 10));
  FakeSocket.last.break();
  host.advance(250);
  FakeSocket.last.open();
  FakeSocket.last.receive({ ...subscribed('job:1'), recovered: true }, pub(2, 20, { end: 'complete' }), {
    type: 'end',
    pattern: 'job:1',
    reason: 'complete',
  });
  FakeSocket.last.break();
  assert.deepEqual(seen, [
    'live 10 undefined',
    'stale 10 undefined',
    'live 10 undefined',
    'live 20 undefined',
    'ended 20 complete',
  ]);
  tide.close();
});

test('what goes wrong is a state: a bad topic, a bad flow, a refusal, a closed connection', async () => {
  const { tide } = await setUp();
  const failure = (store: TopicStore<unknown>): string => {
    store.subscribe(() => {});
    return (store.state().error as TidegateError).code;
  };
  assert.equal(failure(new TopicStore(tide, 'a::b', {}, AT_ONCE)), 'bad_topic');
  assert.equal(
    failure(new TopicStore(tide, 'a', {}, { flow: { throttle: 'soon' as '1s' }, key: '' })),
    'bad_option',
  );
  const refused = new TopicStore(tide, 'secret', {}, AT_ONCE);
  refused.subscribe(() => {});
  FakeSocket.last.receive({ type: 'error', code: 'forbidden', message: 'no', pattern: 'secret' });
  assert.equal((refused.state().error as TidegateError).code, 'forbidden');
  const other = new TopicStore(tide, 'b', {}, AT_ONCE);
  other.subscribe(() => {});
  tide.close();
  assert.equal((other.state().error as TidegateError).code, 'closed');
  assert.equal(failure(new TopicStore(tide, 'a', {}, AT_ONCE)), 'closed');
});

test('another pace keeps the subscription and what it knows', () => {
  const host = new VirtualHost();
  const hub = createHub({ host });
  const store = new TopicStore<number>(hub, 'a', {}, { flow: { throttle: 100 }, key: 'slow' });
  const seen: unknown[] = [];
  store.subscribe(() => seen.push(store.state().data));
  hub.publish('a', 1);
  hub.publish('a', 2);
  assert.deepEqual(seen, [1], 'throttled');
  store.setPace({ flow: {}, key: 'fast' });
  hub.publish('a', 3);
  assert.equal(seen.at(-1), 3);
  assert.equal(store.state().status, 'live');
  hub.close();
});

const REFUSED = { flow: { throttle: '2x' as '1s' }, key: 'refused' };

test('a pace that was refused from the beginning is over with a good one, if somebody listens', async () => {
  const { tide } = await setUp();
  const store = new TopicStore<number>(tide, 'job:1', { initial: 5 }, REFUSED);
  store.setPace({ flow: { throttle: '3x' as '1s' }, key: 'refused, too' });
  store.setPace(REFUSED);
  assert.deepEqual(FakeSocket.last.take(), [], 'nobody listens');
  store.subscribe(() => {});
  assert.equal((store.state().error as TidegateError).code, 'bad_option');
  store.setPace(AT_ONCE);
  assert.deepEqual([store.state().status, store.state().data], ['waiting', 5]);
  FakeSocket.last.receive(subscribed('job:1'), pub(1, 10));
  assert.deepEqual([store.state().status, store.state().data], ['live', 10]);
  tide.close();
  assert.equal(store.state().status, 'failed', 'the connection is followed as ever');
});

test('after a pace that was refused, a good one brings back what is known; an end stays an end', async () => {
  const { host, tide } = await setUp();
  const store = new TopicStore<number>(tide, 'job:1', {}, AT_ONCE);
  store.subscribe(() => {});
  FakeSocket.last.receive(subscribed('job:1'), pub(1, 10));
  store.setPace(REFUSED);
  assert.deepEqual([store.state().status, store.state().data], ['failed', 10]);
  FakeSocket.last.break();
  store.setPace(AT_ONCE);
  assert.deepEqual([store.state().status, store.state().data], ['stale', 10], 'as things stand now');
  host.advance(250);
  FakeSocket.last.open();
  FakeSocket.last.receive({ ...subscribed('job:1'), recovered: true }, pub(2, 20, { end: 'complete' }), {
    type: 'end',
    pattern: 'job:1',
    reason: 'complete',
  });
  store.setPace(REFUSED);
  store.setPace(AT_ONCE);
  assert.deepEqual([store.state().status, store.state().data], ['ended', 20]);
  tide.close();
});

test('a pace that only the core finds wrong, while a connection loads it, is over with a good one, too', async (t) => {
  const scope = globalThis as { WebSocket?: unknown };
  const own = scope.WebSocket;
  scope.WebSocket = FakeSocket;
  t.after(() => {
    scope.WebSocket = own;
  });
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host });
  const store = new TopicStore<number>(tide, 'job:1', {}, { flow: { throttle: 0 }, key: 'none' });
  store.subscribe(() => {});
  await host.settle();
  assert.equal((store.state().error as TidegateError).code, 'bad_flow');
  store.setPace(AT_ONCE);
  FakeSocket.last.open();
  FakeSocket.last.receive(subscribed('job:1'), pub(1, 10));
  assert.deepEqual([store.state().status, store.state().data], ['live', 10]);
  tide.close();
  assert.equal((store.state().error as TidegateError).code, 'closed');
});

test('no pace brings back what the server refuses', async () => {
  const { tide } = await setUp();
  const store = new TopicStore<number>(tide, 'secret', {}, REFUSED);
  store.subscribe(() => {});
  store.setPace(AT_ONCE);
  FakeSocket.last.receive({ type: 'error', code: 'forbidden', message: 'no', pattern: 'secret' });
  for (const pace of [REFUSED, AT_ONCE]) {
    store.setPace(pace);
    assert.equal((store.state().error as TidegateError).code, 'forbidden');
  }
  tide.close();
});

test('the progress of work is told in numbers and texts; of anything else nothing is known', async () => {
  const { tide } = await setUp();
  const store = new TopicStore<unknown>(tide, 'job:1', {}, AT_ONCE);
  const stop = store.subscribe(() => {});
  const read = (): ReturnType<typeof progressState> =>
    progressState(store.state(), { language: 'de', nouns: { verb: 'etikettiert' } });
  assert.deepEqual(read(), {
    status: 'waiting',
    work: undefined,
    texts: undefined,
    end: undefined,
    error: undefined,
  });
  FakeSocket.last.receive(
    subscribed('job:1'),
    pub(1, { done: 1_047, target: 5_000, active: 3, per_hour: 15 }),
  );
  assert.equal(read().work?.target, 5_000);
  assert.match(read().texts?.amount ?? '', /^1\.047 \/ 5\.000 etikettiert \(20,9\s%\)$/);
  assert.equal(read().texts?.rate, '~15/Stunde');
  FakeSocket.last.receive(pub(2, 'half way'));
  assert.deepEqual([read().status, read().work, read().texts], ['live', undefined, undefined]);
  stop();
  tide.close();
});

test('a server renders work that nothing is known of yet', () => {
  const Work = (): ReactNode => {
    const { status, texts } = useProgress('task:7:progress', { nouns: { unit: 'label|labels' } });
    return createElement('p', null, `${status} ${texts?.amount}`);
  };
  const page = createElement(TideProvider, { tide: null }, createElement(Work));
  assert.equal(renderToString(page), '<p>waiting undefined</p>');
});
