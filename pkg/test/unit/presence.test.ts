/** Presences against a scripted server, in virtual time. Against the real one: `browser/presence.test.ts`. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { connect, type PresenceChange, type Tide, TidegateError, type TopicPresence } from 'tidegate';
import { connectionCore, slotsInUse } from '../../dist/engine.js';
import { PresenceStore } from '../../dist/react/presence-store.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

interface Meta {
  readonly device: string;
}

interface SetUp {
  readonly host: VirtualHost;
  readonly tide: Tide;
  readonly room: TopicPresence<Meta>;
}

async function setUp(t: TestContext): Promise<SetUp> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  t.after(() => tide.close());
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.take();
  return { host, tide, room: tide.presence<Meta>('doc:7') };
}

async function reconnect(host: VirtualHost): Promise<Record<string, unknown>[]> {
  FakeSocket.last.break();
  host.advance(1_000);
  FakeSocket.last.open();
  await host.settle();
  return FakeSocket.last.take();
}

const withCode = (code: string) => (error: unknown) => error instanceof TidegateError && error.code === code;

/** A meta on the wire. */
const at = (key: string, clock: number, device: string, node = 1) => ({ key, node, clock, data: { device } });
const gone = (key: string, clock: number, node = 1) => ({ key, node, clock });
const state = (...present: object[]) => ({ type: 'presence_state', topic: 'doc:7', present });
const diff = (joins: object[], leaves: object[] = []) => ({
  type: 'presence_diff',
  topic: 'doc:7',
  joins,
  leaves,
});

/** A change in short: `+ada(phone,tablet) -bob(phone) ~eve(tablet)`. */
function short({ joins, leaves, updates }: PresenceChange<Meta>): string {
  const say = (sign: string) => (presence: { key: string; metas: readonly Meta[] }) =>
    `${sign}${presence.key}(${presence.metas.map(({ device }) => device).join()})`;
  return [...joins.map(say('+')), ...leaves.map(say('-')), ...updates.map(say('~'))].join(' ');
}

test('the state comes first, be it empty, then what changes; one join and one leave per key', async (t) => {
  const { room } = await setUp(t);
  const seen: string[] = [];
  const stop = room.onChange((change) => seen.push(short(change)));
  FakeSocket.last.receive(diff([at('early', 1, 'phone')]));
  assert.deepEqual(seen, [], 'a diff before the state is of an earlier watch');
  FakeSocket.last.receive(state());
  FakeSocket.last.receive(diff([at('ada', 1, 'phone')]));
  FakeSocket.last.receive(diff([at('ada', 2, 'tablet', 2)]));
  FakeSocket.last.receive(diff([], [gone('ada', 1)]));
  FakeSocket.last.receive(diff([], [gone('ada', 2, 2)]));
  assert.deepEqual(seen, ['', '+ada(phone)', '~ada(phone,tablet)', '~ada(tablet)', '-ada(tablet)']);
  stop();
  stop();
  const sent = FakeSocket.last.take().map(({ type, topic }) => `${type} ${topic}`);
  assert.deepEqual(sent, ['watch doc:7', 'unwatch doc:7']);
});

test('the list is ordered by key, and the same array until it changes', async (t) => {
  const { room } = await setUp(t);
  assert.deepEqual(room.list(), []);
  room.onChange(() => {});
  FakeSocket.last.receive(state(at('bob', 2, 'phone'), at('ada', 1, 'phone')));
  const list = room.list();
  assert.deepEqual(list, [
    { key: 'ada', metas: [{ device: 'phone' }] },
    { key: 'bob', metas: [{ device: 'phone' }] },
  ]);
  FakeSocket.last.receive(state(at('bob', 2, 'phone'), at('ada', 1, 'phone')));
  assert.equal(room.list(), list);
  FakeSocket.last.receive(diff([at('eve', 3, 'phone')]));
  assert.notEqual(room.list(), list);
  assert.equal(room.list()[0], list[0], 'who has not changed is the same object');
});

test('many listeners are one watch; who comes late is told who is here', async (t) => {
  const { host, tide, room } = await setUp(t);
  const seen: string[] = [];
  const stops = [room.onChange((change) => seen.push(`1: ${short(change)}`))];
  FakeSocket.last.receive(state(at('ada', 1, 'phone')));
  const again = tide.presence<Meta>('doc:7');
  stops.push(again.onChange((change) => seen.push(`2: ${short(change)}`)));
  assert.equal(seen.length, 1, 'nobody is called within the call');
  await host.settle();
  FakeSocket.last.receive(diff([at('bob', 2, 'phone')]));
  assert.deepEqual(seen, ['1: +ada(phone)', '2: +ada(phone)', '1: +bob(phone)', '2: +bob(phone)']);
  stops[0]!();
  assert.deepEqual(
    FakeSocket.last.take().map(({ type }) => type),
    ['watch'],
  );
  stops[1]!();
  assert.deepEqual(
    FakeSocket.last.take().map(({ type }) => type),
    ['unwatch'],
  );
  assert.deepEqual(again.list(), []);
});

test('across a lost connection only true changes are told, and presences are said before watches', async (t) => {
  const { host, room } = await setUp(t);
  room.track('me', { device: 'laptop' });
  const seen: string[] = [];
  room.onChange((change) => seen.push(short(change)));
  const before = [
    at('me', 1, 'laptop'),
    at('ada', 2, 'phone'),
    at('ada', 3, 'tablet'),
    at('bob', 4, 'phone'),
  ];
  FakeSocket.last.receive(state(...before));
  const list = room.list();
  seen.length = 0;
  const sent = await reconnect(host);
  assert.deepEqual(
    sent.map(({ type }) => type),
    ['hello', 'track', 'watch'],
  );
  const renamed = [
    at('ada', 7, 'tablet', 2),
    at('ada', 8, 'phone', 2),
    at('bob', 9, 'phone', 2),
    at('me', 6, 'laptop', 2),
  ];
  FakeSocket.last.receive(state(...renamed));
  assert.deepEqual(seen, []);
  assert.equal(room.list(), list);
  await reconnect(host);
  FakeSocket.last.receive(
    state(at('ada', 7, 'phone', 3), at('eve', 8, 'phone', 3), at('me', 6, 'laptop', 3)),
  );
  assert.deepEqual(seen, ['+eve(phone) -bob(phone) ~ada(phone)']);
});

test('a presence is tracked, changed, ended: by a call, a signal, using; before the connection stands, too', async (t) => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  t.after(() => tide.close());
  const controller = new AbortController();
  const first = tide.presence<Meta>('doc:7').track('me', { device: 'laptop' });
  first.update({ device: 'desk' });
  tide.presence('doc:7').track('gone', {}).untrack();
  await host.settle();
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.take().slice(1), [
    { type: 'track', ref: 1, topic: 'doc:7', key: 'me', data: { device: 'desk' } },
  ]);
  const second = tide.presence('doc:7').track('me', { device: 'phone' }, { signal: controller.signal });
  first.update({ device: 'sofa' });
  assert.deepEqual([first.active, second.active, first.key], [true, true, 'me']);
  controller.abort();
  first.untrack();
  first.untrack();
  first.update({ device: 'nowhere' });
  assert.deepEqual([first.active, second.active], [false, false]);
  assert.deepEqual(
    FakeSocket.last.take().map(({ type, ref, data }) => [type, ref, data]),
    [
      ['track', 3, { device: 'phone' }],
      ['track', 1, { device: 'sofa' }],
      ['untrack', 3, undefined],
      ['untrack', 1, undefined],
    ],
  );
  const aborted = tide.presence('doc:7').track('me', {}, { signal: AbortSignal.abort() });
  assert.equal(aborted.active, false);
});

test('what is wrong is thrown with a code; what the server refuses is told, and over', async (t) => {
  const { tide, room } = await setUp(t);
  assert.throws(() => room.track('', { device: 'x' }), withCode('bad_option'));
  assert.throws(() => room.track('a\nb', { device: 'x' }), withCode('bad_option'));
  assert.throws(() => tide.presence('a::b').track('me', {}), withCode('bad_topic'));
  assert.throws(() => tide.presence('a::b').onChange(() => {}), withCode('bad_topic'));
  assert.throws(() => tide.presence('a').track('me', 1n), withCode('bad_data'));
  const errors: string[] = [];
  const onError = (error: TidegateError): unknown => errors.push(error.code);
  const tracked = room.track('me', { device: 'x' }, { onError });
  room.onChange(() => assert.fail('nothing is known'), { onError });
  const refs = FakeSocket.last.take().map(({ ref }) => ref);
  FakeSocket.last.receive(
    { type: 'error', code: 'too_many_presences', message: 'full', ref: refs[0] },
    { type: 'error', code: 'forbidden', message: 'no', ref: refs[1] },
  );
  assert.deepEqual(errors, ['too_many_presences', 'forbidden']);
  assert.equal(tracked.active, false);
  tide.close();
  assert.throws(() => room.track('me', { device: 'x' }), withCode('closed'));
  assert.throws(() => room.onChange(() => {}), withCode('closed'));
});

test('frames that are not sound are reported, and the next one is understood', async (t) => {
  const { tide, room } = await setUp(t);
  const errors: string[] = [];
  tide.on('error', ({ code }) => errors.push(code));
  const seen: string[] = [];
  room.onChange((change) => seen.push(short(change)));
  FakeSocket.last.receive(
    state({ key: 'ada', node: 1, clock: 1 }),
    state({ key: 7, node: 1, clock: 1, data: 1 }),
    state(at('ada', 1, 'phone'), { ...at('', 2, 'phone') }),
    state(at('ada', -1, 'phone')),
    { type: 'presence_state', topic: 'doc:7', present: 1 },
    { type: 'presence_diff', topic: 'a::b', joins: [], leaves: [] },
  );
  assert.deepEqual(errors, ['bad_frame', 'bad_frame', 'bad_frame', 'bad_frame', 'bad_frame', 'bad_topic']);
  FakeSocket.last.receive(state(at('bob', 1, 'phone')));
  assert.deepEqual(seen, ['+bob(phone)']);
});

test('closing ends presences without a word, and leaves no slot in use', async (t) => {
  const before = slotsInUse();
  const { host, tide, room } = await setUp(t);
  const tracked = room.track('me', { device: 'x' });
  const seen: string[] = [];
  room.onChange((change) => seen.push(short(change)), { onError: () => assert.fail('no error') });
  for (let clock = 1; clock <= 100; clock += 1) {
    FakeSocket.last.receive(state(at('ada', clock, `phone ${clock}`), at('bob', clock, 'x', 2)));
  }
  seen.length = 0;
  tide.close();
  await host.settle();
  assert.deepEqual([seen, tracked.active, room.list()], [[], false, []]);
  // The first call into a new machine reads the slots that the old one freed.
  const other = await setUp(t);
  other.tide.close();
  await other.host.settle();
  assert.ok(slotsInUse() - before <= 1, `${slotsInUse() - before} slots are left`);
});

test('a core that broke is told of presences and watches again, and only true changes are told', async (t) => {
  const { host, room } = await setUp(t);
  room.track('me', { device: 'laptop' });
  const seen: string[] = [];
  room.onChange((change) => seen.push(short(change)));
  FakeSocket.last.receive(state(at('ada', 1, 'phone'), at('me', 2, 'laptop')));
  seen.length = 0;
  const core = await connectionCore(undefined);
  assert.throws(() => core.enter(() => core.calls.panic_on_purpose()));
  await host.settle();
  FakeSocket.last.open();
  assert.deepEqual(
    FakeSocket.last.take().map(({ type }) => type),
    ['hello', 'track', 'watch'],
  );
  FakeSocket.last.receive(state(at('eve', 3, 'phone', 2), at('me', 4, 'laptop', 2)));
  assert.deepEqual(seen, ['+eve(phone) -ada(phone)']);
});

test('a store for components: stable, stale while disconnected, failed when closed', async (t) => {
  const { host, tide } = await setUp(t);
  const store = new PresenceStore<Meta>(tide, 'doc:7');
  const seen: string[] = [];
  store.subscribe(() => {})();
  const stop = store.subscribe(() => {
    const { status, present } = store.state();
    seen.push(`${status} ${present.map(({ key }) => key)}`);
  });
  assert.equal(store.state(), store.firstState());
  await host.settle();
  FakeSocket.last.receive(state(at('ada', 1, 'phone')));
  assert.equal(store.state(), store.state());
  await reconnect(host);
  FakeSocket.last.receive(state(at('ada', 1, 'phone', 2)));
  tide.close();
  assert.deepEqual(seen, ['live ada', 'stale ada', 'live ada', 'failed ada']);
  stop();
  const late = new PresenceStore(tide, 'doc:7');
  late.subscribe(() => {});
  assert.equal((late.state().error as TidegateError).code, 'closed');
  const none = new PresenceStore(null, 'doc:7');
  none.subscribe(() => {});
  assert.equal(none.state().status, 'waiting');
});
