/** Conflation by the subscriber's own function. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { type Conflation, connect, createHub, type FlowOptions, type Hub, type Update } from 'tidegate';

import { mergePatch, sumFields } from '../../dist/combine.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

function setUp(): { host: VirtualHost; hub: Hub } {
  const host = new VirtualHost();
  return { host, hub: createHub({ host }) };
}

/** Collects the errors that are reported as uncaught during a test. */
function reportedIn(t: TestContext): unknown[] {
  const reported: unknown[] = [];
  const scope = globalThis as { reportError?: (error: unknown) => void };
  scope.reportError = (error) => reported.push(error);
  t.after(() => {
    delete scope.reportError;
  });
  return reported;
}

const both = (older: string, newer: string): string => `${older}${newer}`;

test('what waits is made one by the function, and stands where the newest does', () => {
  const { host, hub } = setUp();
  const seen: Update<string>[] = [];
  hub.subscribe<string>('a', { throttle: 100, conflate: both }, (update) => seen.push(update));
  const positions = ['a', 'b', 'c', 'd'].map((letter) => hub.publish('a', letter));
  host.advanceTo(1_000);
  assert.deepEqual(seen, [
    { topic: 'a', data: 'a', ...positions[0] },
    { topic: 'a', data: 'bcd', ...positions[3] },
  ]);
});

test('topics of a pattern are kept apart, and an end is not combined', () => {
  const { host, hub } = setUp();
  const seen: unknown[] = [];
  hub.subscribe<string>('job:*', { debounce: 50, conflate: both }, ({ topic, data, end }) =>
    seen.push([topic, data, end]),
  );
  for (const letter of ['a', 'b']) {
    hub.publish('job:1', letter);
    hub.publish('job:2', letter.toUpperCase());
  }
  hub.publish('job:2', 'last', { end: 'complete' });
  host.advanceTo(1_000);
  assert.deepEqual(seen, [
    ['job:2', 'AB', undefined],
    ['job:2', 'last', 'complete'],
    ['job:1', 'ab', undefined],
  ]);
});

/** A seeded generator of random numbers. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

type Seen = [at: number, offset: number, data: unknown];

/** The updates of one hub's subscribers, each with one of `flows`, for the same publications. */
function timelines(seed: number, flows: readonly FlowOptions[]): Seen[][] {
  const { host, hub } = setUp();
  const all = flows.map((flow) => {
    const seen: Seen[] = [];
    hub.subscribe('a', flow, (due: unknown) => {
      for (const { offset, data } of (Array.isArray(due) ? due : [due]) as Update[]) {
        seen.push([host.now(), offset, data]);
      }
    });
    return seen;
  });
  const next = numbers(seed);
  for (let count = 0; count < 60; count += 1) {
    host.advance(next(40));
    const label = `l${next(4)}`;
    hub.publish('a', next(5) === 0 ? next(100) : { n: next(10), [label]: next(3) });
  }
  host.advance(10_000);
  hub.close();
  return all;
}

test('the rules that the core knows, given as functions, show the same at the same times', () => {
  const rules: [Conflation, (older: unknown, newer: unknown) => unknown][] = [
    ['latest', (_, newer) => newer],
    ['merge', mergePatch],
    ['sum', sumFields],
  ];
  for (let seed = 1; seed <= 100; seed += 1) {
    const next = numbers(seed + 1_000);
    const edges = { leading: next(2) === 0 };
    const paces: FlowOptions[] = [
      { throttle: 5 + next(200), ...edges },
      { debounce: 5 + next(60), ...edges },
      { debounce: 5 + next(60), maxWait: 5 + next(200), ...edges },
    ];
    const pace = paces[next(paces.length)]!;
    for (const [name, rule] of rules) {
      const [ours, theirs] = timelines(seed, [
        { ...pace, conflate: name },
        { ...pace, conflate: rule },
      ]);
      assert.deepEqual(theirs, ours, `${name} with ${JSON.stringify(pace)}, seed ${seed}`);
    }
  }
});

test('every publication goes through the function once, in order', () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const list = (data: unknown): unknown[] => (Array.isArray(data) ? data : [data]);
    const [seen] = timelines(seed, [
      { throttle: 90, conflate: (older, newer) => [...list(older), ...list(newer)] },
    ]);
    const [alone] = timelines(seed, [{}]);
    const through = seen!.flatMap(([, , data]) => list(data));
    assert.deepEqual(
      through,
      alone!.map(([, , data]) => data),
      `seed ${seed}`,
    );
  }
});

test('where the function throws, that is reported and nothing is lost', (t) => {
  const reported = reportedIn(t);
  const { host, hub } = setUp();
  const picky = (older: string, newer: string): string => {
    if (newer === 'c') {
      throw new Error('not c');
    }
    return both(older, newer);
  };
  const seen: unknown[] = [];
  const beside: unknown[] = [];
  hub.subscribe<string>('a', { throttle: 100, leading: false, conflate: picky }, ({ data }) => {
    seen.push(data);
    throw new Error(`not ${data}`);
  });
  hub.subscribe<string>('a', { throttle: 100, leading: false, conflate: both }, ({ data }) =>
    beside.push(data),
  );
  for (const letter of 'abcde') {
    hub.publish('a', letter);
  }
  host.advanceTo(100);
  assert.deepEqual(seen, ['ab', 'cde']);
  assert.deepEqual(beside, ['abcde']);
  assert.deepEqual(reported.map(String), ['Error: not c', 'Error: not ab', 'Error: not cde']);
});

test('the function may use the hub that calls it', () => {
  const { host, hub } = setUp();
  const seen: unknown[] = [];
  const subscription = hub.subscribe<number>(
    'a',
    {
      throttle: 100,
      leading: false,
      conflate: (older: number, newer: number) => {
        hub.publish('b', older);
        subscription();
        return newer;
      },
    },
    ({ data }) => seen.push(data),
  );
  hub.subscribe('b', ({ data }) => seen.push(`b ${data}`));
  hub.publish('a', 1);
  hub.publish('a', 2);
  host.advanceTo(1_000);
  assert.deepEqual(seen, ['b 1'], 'a subscription that is over is handed nothing');
});

test('a live subscription can be given another function, or none', () => {
  const { host, hub } = setUp();
  const seen: unknown[] = [];
  const pace = { throttle: 100, leading: false } as const;
  const subscription = hub.subscribe<string>('a', { ...pace, conflate: both }, ({ data }) => seen.push(data));
  const publishAll = (letters: string): void => {
    for (const letter of letters) {
      hub.publish('a', letter);
    }
    host.advance(100);
  };
  publishAll('abc');
  subscription.setFlow({ ...pace, conflate: (older: string, newer: string) => `${newer}${older}` });
  publishAll('def');
  subscription.setFlow(pace);
  publishAll('ghi');
  assert.deepEqual(seen, ['abc', 'fed', 'i']);
});

test('a server is asked for batches, and all of one is dealt with when its handler has returned', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  const seen: unknown[] = [];
  tide.subscribe<string>('a', { throttle: '1s', conflate: both, durable: 'phone' }, ({ offset, data }) =>
    seen.push([offset, data]),
  );
  await host.settle();
  FakeSocket.last.open();
  const [, subscribe] = FakeSocket.last.take();
  assert.deepEqual(subscribe?.['flow'], {
    throttle_ms: 1_000,
    leading: true,
    trailing: true,
    conflate: 'collect',
    max: 5_000,
  });
  const pub = (offset: number, data: string) => ({ type: 'pub', topic: 'a', epoch: 7, offset, data });
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'a', position: { epoch: 7, offset: 0 }, recovered: true, flow: {} },
    { type: 'batch', items: [pub(1, 'x'), pub(2, 'y'), pub(3, 'z')] },
  );
  await host.settle();
  assert.deepEqual(seen, [[3, 'xyz']]);
  host.advance(1_000);
  const acks = FakeSocket.last.take().filter(({ type }) => type === 'ack');
  assert.deepEqual(
    acks.map(({ positions }) => positions),
    [[{ topic: 'a', epoch: 7, offset: 3 }]],
  );
  tide.close();
});
