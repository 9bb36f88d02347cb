import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createHub, type Hub, type Subscription, TidegateError, type Update } from 'tidegate';

import { slotsInUse } from '../../dist/engine.js';
import { VirtualHost } from '../support/virtual-host.js';

function setUp(): { host: VirtualHost; hub: Hub } {
  const host = new VirtualHost();
  return { host, hub: createHub({ host, history: 256 }) };
}

const withCode = (code: string) => (error: unknown) => error instanceof TidegateError && error.code === code;

test('a handler gets what is published on its topic, before publish returns', () => {
  const { hub } = setUp();
  const updates: Update<string>[] = [];
  hub.subscribe<string>('job:1', (update) => updates.push(update));
  const first = hub.publish('job:1', 'a');
  hub.publish('job:2', 'not mine');
  const second = hub.publish('job:1', 'b');
  assert.deepEqual(updates, [
    { topic: 'job:1', data: 'a', ...first },
    { topic: 'job:1', data: 'b', ...second },
  ]);
  assert.equal(second.offset, first.offset + 1);
});

test('patterns match as they are documented', () => {
  const { hub } = setUp();
  const seen: string[] = [];
  hub.subscribe('job:*', ({ topic }) => seen.push(`* ${topic}`));
  hub.subscribe('job:**', ({ topic }) => seen.push(`** ${topic}`));
  hub.publish('job:1', 0);
  hub.publish('job:1:log', 0);
  assert.deepEqual(seen.sort(), ['* job:1', '** job:1', '** job:1:log']);
});

test('a late subscriber starts with the latest value, unless it wants none', async () => {
  const { hub, host } = setUp();
  hub.publish('a', 1);
  hub.publish('a', 2);
  const seen: unknown[] = [];
  hub.subscribe('a', ({ data }) => seen.push(data));
  hub.subscribe('a', { latest: false }, ({ data }) => seen.push(`new ${data}`));
  assert.deepEqual(seen, [], 'not within the call of subscribe itself');
  await host.settle();
  assert.deepEqual(seen, [2]);
});

test('a terminal publication ends the subscription with its reason', () => {
  const { hub } = setUp();
  const seen: unknown[] = [];
  const subscription = hub.subscribe(
    'job:1',
    { throttle: '1s', onEnd: (reason) => seen.push(reason) },
    ({ data, end }) => seen.push([data, end]),
  );
  hub.publish('job:1', 1);
  hub.publish('job:1', 2);
  hub.publish('job:1', 3, { end: 'failed' });
  assert.deepEqual(seen, [[1, undefined], [2, undefined], [3, 'failed'], 'failed']);
  assert.equal(subscription.active, false);
  assert.throws(() => hub.publish('job:1', 4), withCode('topic_ended'));
  assert.equal(hub.publish('job:1', 5, { restart: true }).offset, 1);
});

test('a status in the payload is terminal in any letter case', () => {
  const { hub } = setUp();
  const ends: unknown[] = [];
  hub.subscribe('job:**', ({ end }) => ends.push(end));
  hub.publish('job:1', { status: 'RUNNING' });
  hub.publish('job:1', { status: 'Complete' });
  hub.publish('job:2', { status: 'CANCELLED' });
  assert.deepEqual(ends, [undefined, 'complete', 'cancelled']);
});

test('a status ends nothing where the publisher says so', () => {
  const { hub } = setUp();
  const ends: unknown[] = [];
  hub.subscribe('job:1', ({ end }) => ends.push(end));
  hub.publish('job:1', { status: 'failed' }, { end: 'none' });
  hub.publish('job:1', { status: 'failed' }, { end: 'none' });
  assert.equal(hub.publish('job:1', { status: 'failed' }).offset, 3);
  assert.deepEqual(ends, [undefined, undefined, 'failed']);
  assert.throws(() => hub.publish('job:1', 4, { end: 'none' }), withCode('topic_ended'));
});

test('a throttled subscription conflates, and keeps the last value', () => {
  const { hub, host } = setUp();
  const seen: [number, unknown][] = [];
  hub.subscribe('a', { throttle: 100 }, ({ data }) => seen.push([host.now(), data]));
  for (let at = 0; at < 250; at += 10) {
    host.advanceTo(at);
    hub.publish('a', at);
  }
  host.advanceTo(1_000);
  assert.deepEqual(seen, [
    [0, 0],
    [100, 90],
    [200, 190],
    [300, 240],
  ]);
});

test('merge, sum and collect combine what waits', () => {
  const { hub, host } = setUp();
  const seen: unknown[] = [];
  hub.subscribe('m', { throttle: 100, leading: false, conflate: 'merge' }, ({ data }) => seen.push(data));
  hub.subscribe('s', { throttle: 100, leading: false, conflate: 'sum' }, ({ data }) => seen.push(data));
  hub.subscribe<number>('c', { throttle: 100, leading: false, conflate: { collect: 3 } }, (updates) =>
    seen.push(updates.map(({ data }) => data)),
  );
  const original = { a: 1, b: { c: 1 } };
  hub.publish('m', original);
  hub.publish('m', { b: { d: 2 }, e: null });
  hub.publish('s', { n: 1, deep: { n: 10 }, word: 'x' });
  hub.publish('s', { n: 2, deep: { n: 20 }, word: 'y' });
  for (const value of [1, 2, 3, 4]) {
    hub.publish('c', value);
  }
  host.advanceTo(1_000);
  assert.deepEqual(seen, [
    [1, 2, 3],
    { a: 1, b: { c: 1, d: 2 }, e: null },
    { n: 3, deep: { n: 30 }, word: 'y' },
    [4],
  ]);
  assert.deepEqual(original, { a: 1, b: { c: 1 } }, 'what was published is left alone');
});

test('the flow of a live subscription can be changed, by itself or into collecting', () => {
  const { hub, host } = setUp();
  const seen: unknown[] = [];
  const subscription: Subscription = hub.subscribe('a', (due: unknown) => seen.push(due));
  hub.publish('a', 1);
  subscription.setFlow({ throttle: 50, leading: false, conflate: { collect: 10 } });
  hub.publish('a', 2);
  hub.publish('a', 3);
  host.advanceTo(50);
  const [first, batch] = seen as [Update, Update[]];
  assert.equal(first.data, 1);
  assert.deepEqual(
    batch.map(({ data }) => data),
    [2, 3],
  );
  assert.throws(() => subscription.setFlow({ throttle: 1, debounce: 1 }), withCode('bad_flow'));
});

test('since recovers exactly what was missed, or says that it is lost', async () => {
  const { hub, host } = setUp();
  const positions = [1, 2, 3, 4].map((value) => hub.publish('a', value));
  const seen: unknown[] = [];
  hub.subscribe('a', { since: { topic: 'a', ...positions[1]! } }, ({ data }) => seen.push(data));
  hub.subscribe(
    'a',
    { since: { topic: 'a', epoch: 1, offset: 1 }, onReset: (at) => seen.push(at) },
    ({ data }) => seen.push(data),
  );
  await host.settle();
  assert.deepEqual(seen, [3, 4, { topic: 'a', ...positions[3]! }, 4]);
});

test('unsubscribing by call, by `using` or by signal ends it at once', () => {
  const { hub } = setUp();
  const seen: unknown[] = [];
  const controller = new AbortController();
  const unsubscribe = hub.subscribe('a', ({ data }) => seen.push(`call ${data}`));
  hub.subscribe('a', { signal: controller.signal }, ({ data }) => seen.push(`signal ${data}`));
  {
    using _scoped = hub.subscribe('a', ({ data }) => seen.push(`using ${data}`));
    hub.publish('a', 1);
  }
  hub.publish('a', 2);
  unsubscribe();
  unsubscribe();
  controller.abort();
  hub.publish('a', 3);
  assert.deepEqual(seen, ['call 1', 'signal 1', 'using 1', 'call 2', 'signal 2']);
  assert.equal(hub.subscribe('a', { signal: controller.signal }, () => {}).active, false);
});

test('what a handler publishes is delivered after what was due before, to everybody in the same order', () => {
  const { hub } = setUp();
  const first: unknown[] = [];
  const second: unknown[] = [];
  hub.subscribe<number>('a', ({ data }) => {
    first.push(data);
    if (data < 3) {
      hub.publish('a', data + 1);
    }
  });
  hub.subscribe('a', ({ data }) => second.push(data));
  hub.publish('a', 1);
  assert.deepEqual(first, [1, 2, 3]);
  assert.deepEqual(second, [1, 2, 3]);
});

test('a handler that throws is reported and keeps nobody from an update', (t) => {
  const { hub } = setUp();
  const reported: unknown[] = [];
  const scope = globalThis as { reportError?: (error: unknown) => void };
  scope.reportError = (error) => reported.push(error);
  t.after(() => {
    delete scope.reportError;
  });
  const seen: unknown[] = [];
  const mistake = new Error('handler broke');
  hub.subscribe('a', () => {
    throw mistake;
  });
  hub.subscribe('a', ({ data }) => seen.push(data));
  hub.publish('a', 1);
  assert.deepEqual(seen, [1]);
  assert.deepEqual(reported, [mistake]);
});

test('what is wrong with a pattern or an option is said at once, by code', () => {
  const { hub } = setUp();
  const nothing = (): void => {};
  assert.throws(() => hub.subscribe('a::b', nothing), withCode('bad_topic'));
  assert.throws(() => hub.publish('a:*', 1), withCode('bad_topic'));
  assert.throws(() => hub.subscribe('a', { throttle: 10, debounce: 10 }, nothing), withCode('bad_flow'));
  assert.throws(() => hub.subscribe('a', { throttle: '25h' }, nothing), withCode('bad_flow'));
  assert.throws(() => hub.subscribe('a', { throttle: 'often' as never }, nothing), withCode('bad_option'));
  assert.throws(() => hub.publish('a', 1, { id: 'x'.repeat(129) }), withCode('too_large'));
});

test('an idempotency key publishes once', () => {
  const { hub } = setUp();
  const seen: unknown[] = [];
  hub.subscribe('a', ({ data }) => seen.push(data));
  const position = hub.publish('a', 1, { id: 'k' });
  assert.deepEqual(hub.publish('a', 2, { id: 'k' }), position);
  assert.deepEqual(seen, [1]);
});

test('a closed hub says so', () => {
  const { hub, host } = setUp();
  hub.subscribe('a', () => {});
  hub.publish('a', 1);
  hub.close();
  assert.throws(() => hub.publish('a', 1), withCode('closed'));
  assert.throws(() => hub.subscribe('a', () => {}), withCode('closed'));
  assert.equal(host.armed, 0);
});

test('a hundred thousand publishes leave no slot in use but those that are retained', () => {
  const { hub, host } = setUp();
  let seen = 0;
  hub.subscribe('job:**', { throttle: 50, conflate: 'merge' }, () => seen++);
  const before = slotsInUse();
  for (let index = 0; index < 100_000; index += 1) {
    host.advance(1);
    hub.publish(`job:${index % 20_000}`, { index }, index >= 80_000 ? { end: 'complete' } : {});
  }
  assert.ok(seen >= 20_000, `only ${seen} were delivered`);
  const retained = 20_000 * 5;
  assert.ok(slotsInUse() - before <= retained, `${slotsInUse() - before} slots`);
  host.advance(2 * 3_600_000);
  hub.publish('other', 1);
  assert.ok(slotsInUse() <= before + 1, `${slotsInUse() - before} slots are left after the retention time`);
});

test('topics that were forgotten and are used again keep their names', () => {
  const { hub, host } = setUp();
  const names: string[] = [];
  hub.subscribe('**', ({ topic }) => names.push(topic));
  const expected: string[] = [];
  for (const room of ['a', 'b', 'a', 'c', 'a']) {
    for (let index = 0; index < 5_000; index += 1) {
      hub.publish(`${room}:${index}`, index);
      expected.push(`${room}:${index}`);
    }
    host.advance(2 * 3_600_000);
  }
  assert.deepEqual(names, expected);
});

/** A host whose timers may be late. */
class LateHost extends VirtualHost {
  lateMs = 0;

  override now(): number {
    return super.now() + this.lateMs;
  }
}

test('handlers that the hub need not be asked for again get what they would have got', () => {
  const host = new LateHost();
  const hub = createHub({ host });
  const seen: string[] = [];
  const note = (name: string) => (update: Update<number>) =>
    seen.push(`${name} ${update.topic} ${update.data}`);
  const publish = (topic: string, data: number): string[] => {
    const before = seen.length;
    const { offset } = hub.publish(topic, data);
    assert.equal(typeof offset, 'number');
    return seen.slice(before);
  };
  hub.subscribe<number>('a', note('1'));
  const second = hub.subscribe<number>('*', note('2'));
  hub.subscribe<number>('slow', { throttle: 100 }, note('slow'));
  assert.deepEqual(publish('a', 1), ['1 a 1', '2 a 1']);
  assert.deepEqual(publish('a', 2), ['1 a 2', '2 a 2']);
  hub.publish('slow', 3);
  hub.publish('slow', 4);
  second();
  host.advance(99);
  assert.deepEqual(publish('a', 5), ['1 a 5']);
  host.lateMs = 1000;
  assert.deepEqual(publish('a', 6), ['slow slow 4', '1 a 6']);
  assert.deepEqual(publish('a', 7), ['1 a 7']);
  const third = hub.subscribe<number>('a', { throttle: 100, latest: false }, note('3'));
  assert.deepEqual(publish('a', 8), ['1 a 8', '3 a 8']);
  assert.deepEqual(publish('a', 9), ['1 a 9']);
  third.setFlow({});
  seen.length = 0;
  assert.deepEqual(publish('a', 10), ['1 a 10', '3 a 10']);
  assert.deepEqual(publish('a', 11), ['1 a 11', '3 a 11']);
  hub.subscribe<number>('a', { throttle: 'frame', latest: false }, note('frame'));
  assert.deepEqual(publish('a', 12), ['1 a 12', '3 a 12', 'frame a 12']);
  assert.deepEqual(publish('a', 13), ['1 a 13', '3 a 13']);
});

test('a handler that publishes, subscribes and leaves disturbs no other one', () => {
  const { hub } = setUp();
  const seen: string[] = [];
  let inner = false;
  hub.subscribe<number>('a', ({ data }) => {
    if (data === 2 && !inner) {
      inner = true;
      hub.publish('a', 20);
      hub.subscribe<number>('a', { latest: false }, (update) => seen.push(`new ${update.data}`));
    }
  });
  const leaving = hub.subscribe<number>('a', ({ data }) => {
    seen.push(`1st ${data}`);
    if (data === 20) {
      leaving();
    }
  });
  hub.subscribe<number>('a', ({ data }) => seen.push(`2nd ${data}`));
  for (const data of [1, 2, 3]) {
    hub.publish('a', data);
  }
  assert.deepEqual(seen.slice(0, 6), ['1st 1', '2nd 1', '1st 2', '2nd 2', '1st 20', '2nd 20']);
  assert.deepEqual(seen.slice(6).sort(), ['2nd 3', 'new 3']);
});

test('what a handler does to those after it holds for the publication that it was called with', () => {
  const { hub } = setUp();
  const seen: unknown[] = [];
  hub.subscribe<number>('a', ({ data }) => {
    if (data === 3) {
      leaving();
      collecting.setFlow({ conflate: { collect: 2 }, throttle: 100 });
    }
  });
  const leaving = hub.subscribe<number>('a', ({ data }) => seen.push(['leaving', data]));
  const collecting: Subscription = hub.subscribe('a', (due: unknown) => seen.push(Array.isArray(due)));
  hub.subscribe('a', function (this: unknown, { data }: Update<number>) {
    seen.push([this, data]);
  });
  for (const data of [1, 2, 3]) {
    hub.publish('a', data);
  }
  const before = [1, 2].flatMap((data) => [['leaving', data], false, [undefined, data]]);
  assert.deepEqual(seen, [...before, true, [undefined, 3]]);
});
