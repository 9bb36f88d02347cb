/** What a server sends to a real browser when topics change faster than the tabs want updates. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { connect, type Tide } from 'tidegate';

import { assertWhole, eventually, type Scene, setScene, type Tab, WAYS, type Way } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 300_000 };

const TOPICS = 200;
const PER_SECOND = 50;
const NAMES = Array.from({ length: TOPICS }, (_, number) => `job:${number}`);

function publisher(t: TestContext, scene: Scene): Tide {
  const tide = connect(scene.server);
  t.after(() => tide.close());
  return tide;
}

/** Subscribes a tab to all topics; it records the offsets of each. */
const followAll = (flow: string): string => `
  globalThis.given = ${JSON.stringify(NAMES)}.map((topic) => {
    const offsets = [];
    tide.subscribe(topic, ${flow}, ({ offset }) => offsets.push(offset));
    return offsets;
  });
  0`;

const given = (tab: Tab): Promise<number[][]> => tab.page.evaluate('given') as Promise<number[][]>;

/** Waits until a tab has the last publication of each topic. Returns everything that it got. */
async function caughtUp(tab: Tab, last: readonly number[]): Promise<number[][]> {
  const isThere = (all: number[][]): boolean => all.every((offsets, topic) => offsets.at(-1) === last[topic]);
  const all = await eventually(() => given(tab), isThere, 60_000);
  assert.ok(isThere(all), 'a tab has not got to where its topics are');
  return all;
}

const report = (round: number): unknown => ({ progress: round, message: 'resizing photographs' });

/**
 * Publishes to every topic, up to fifty times a second, for some seconds. Returns the number of rounds and the last
 * offsets.
 */
async function moveAll(
  tide: Tide,
  seconds: number,
  names: readonly string[] = NAMES,
  dataOf: (round: number) => unknown = report,
): Promise<{ rounds: number; last: number[]; elapsed: number }> {
  const began = performance.now();
  let rounds = 0;
  let last: number[] = [];
  for (let due = began; due < began + seconds * 1_000; due += 1_000 / PER_SECOND) {
    const early = due - performance.now();
    if (early > 0) {
      await new Promise((resolve) => setTimeout(resolve, early));
    } else if (early < -100) {
      continue;
    }
    rounds += 1;
    const data = dataOf(rounds);
    const positions = await Promise.all(names.map((topic) => tide.publish(topic, data)));
    last = positions.map(({ offset }) => offset);
  }
  return { rounds, last, elapsed: (performance.now() - began) / 1_000 };
}

const sum = (lists: readonly (readonly unknown[])[]): number =>
  lists.reduce((count, list) => count + list.length, 0);

for (const way of WAYS) {
  test(`${way}: a dashboard is sent what it shows, and all while another tab wants all`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    const tide = publisher(t, scene);
    const dashboard = await scene.open([]);
    await dashboard.page.evaluate(followAll(`{ throttle: '1s' }`));
    await eventually(
      () => scene.counts(),
      ({ subscriptions }) => subscriptions === TOPICS,
    );

    const before = scene.carried();
    const paced = await moveAll(tide, 4);
    const shown = sum(await caughtUp(dashboard, paced.last));
    const sent = scene.carried();
    const publications = sent.publications - before.publications;
    const bytes = sent.bytes - before.bytes;
    assert.ok(publications <= TOPICS * (paced.elapsed + 2), `${publications} in ${paced.elapsed} s`);
    assert.ok(publications <= shown * 1.2, `${publications} were sent, ${shown} shown`);
    t.diagnostic(
      `${way}: ${TOPICS * paced.rounds} published in ${paced.elapsed.toFixed(1)} s, ${publications} sent (${bytes} bytes), ${shown} shown`,
    );

    const other = await scene.open([]);
    await other.page.evaluate(followAll('{}'));
    await caughtUp(other, paced.last);
    const everything = await moveAll(tide, 1);
    for (const offsets of await caughtUp(other, everything.last)) {
      const first = offsets[0]!;
      assert.deepEqual(
        offsets,
        offsets.map((_, index) => first + index),
      );
    }
    const all = scene.carried();
    assert.ok(all.publications - sent.publications >= TOPICS * everything.rounds);

    await scene.close(other);
    await dashboard.isConnected();
    await slowedDown(scene, tide, dashboard);
  });
}

/** Waits until changing topics cost no more than the updates that are shown. */
async function slowedDown(scene: Scene, tide: Tide, dashboard: Tab): Promise<void> {
  const ratio = async (): Promise<number> => {
    const before = scene.carried();
    const moved = await moveAll(tide, 3);
    await caughtUp(dashboard, moved.last);
    const publications = scene.carried().publications - before.publications;
    return publications / (TOPICS * (moved.elapsed + 2));
  };
  const found = await eventually(ratio, (ratio) => ratio <= 1, 60_000);
  assert.ok(found <= 1, `with the other tab gone, ${found} times what is shown is sent`);
}

const COUNTER = 'job:counter';

/** The sum of a tab, once it has the last publication. */
async function totalOf(tab: Tab, last: number): Promise<number> {
  await tab.reached(last, 60_000);
  const { data, wrong } = await tab.told();
  assert.deepEqual(wrong, []);
  return data.reduce<number>((total, value) => total + (value as { done: number }).done, 0);
}

for (const way of WAYS) {
  test(`${way}: a counter of two tabs is added up by the server, and is exact`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    const tide = publisher(t, scene);
    const options = JSON.stringify({ throttle: '1s', conflate: 'sum' });
    const dashboards = [await scene.open([COUNTER], { options }), await scene.open([COUNTER], { options })];
    await eventually(
      () => scene.counts(),
      ({ subscriptions }) => subscriptions === 1,
    );

    let published = 0;
    const count = async (
      seconds: number,
    ): Promise<{ last: number; sent: number; rounds: number; most: number }> => {
      const before = scene.carried().publications;
      const { rounds, last, elapsed } = await moveAll(tide, seconds, [COUNTER], () => ({ done: 1 }));
      published += rounds;
      for (const tab of scene.tabs) {
        await tab.reached(last[0]!, 60_000);
      }
      const sent = scene.carried().publications - before;
      return { last: last[0]!, sent, rounds, most: elapsed + 2 };
    };

    // Until both have caught up with the topic, every publication is sent by itself.
    await eventually(
      () => count(1),
      ({ sent, most }) => sent <= most,
      60_000,
    );
    const alone = await count(4);
    assert.ok(alone.sent <= alone.most, `${alone.sent} were sent of ${alone.rounds}, at most ${alone.most}`);
    for (const tab of dashboards) {
      assert.equal(await totalOf(tab, alone.last), published);
    }

    const other = await scene.open([COUNTER]);
    await other.reached(alone.last);
    const all = await count(2);
    assert.ok(all.sent >= all.rounds, `${all.sent} were sent of ${all.rounds}`);
    assertWhole(await other.told(), all.last);
    await scene.close(other);
    await eventually(
      () => count(2),
      ({ sent, most }) => sent <= most,
      60_000,
    );

    const again = await count(3);
    assert.ok(again.sent <= again.most, `${again.sent} were sent of ${again.rounds}, at most ${again.most}`);
    for (const tab of dashboards) {
      assert.equal(await totalOf(tab, again.last), published);
    }
    t.diagnostic(
      `${way}: ${alone.sent} sent of ${alone.rounds}; ${all.sent} of ${all.rounds} beside a tab that wants all; ${again.sent} of ${again.rounds} without it`,
    );
  });
}

/** A dashboard of some 11 KiB, of which five panels change at a time. */
function dashboardOf(step: number): unknown {
  const panels = Array.from({ length: 80 }, (_, panel) => [
    `panel-${panel}`,
    {
      title: `Queue of the north-eastern depot, line ${panel}`,
      unit: 'parcels/min',
      value: 1_000 + Math.floor((step + 79 - (panel % 16)) / 16),
      low: 12,
      high: 4_000 + panel,
      state: 'running',
    },
  ]);
  return Object.fromEntries(panels);
}

const STEPS = 60;

/** The bytes that are sent to a browser for the changes; checks that its tabs still get whole values. */
async function bytesOf(t: TestContext, way: Way, options: readonly string[]): Promise<number> {
  const scene = await setScene(t, way);
  const tide = publisher(t, scene);
  const first = await tide.publish('task:7', dashboardOf(0));
  assert.equal(first.offset, 1);
  for (const flow of options) {
    const tab = await scene.open(['task:7'], { options: flow });
    await tab.reached(1);
  }
  const before = scene.carried().bytes;
  for (let step = 1; step <= STEPS; step += 1) {
    await tide.publish('task:7', dashboardOf(step));
  }
  const expected = Array.from({ length: STEPS + 1 }, (_, step) => dashboardOf(step));
  for (const tab of scene.tabs) {
    await tab.reached(STEPS + 1);
    const { data, wrong } = await tab.told();
    assert.deepEqual(data, expected);
    assert.deepEqual(wrong, []);
  }
  return scene.carried().bytes - before;
}

for (const way of ['off', ...WAYS] as const) {
  test(`${way}: what comes as deltas is handed to every tab whole`, LIMIT, async (t) => {
    const others = way === 'off' ? [] : ['{}'];
    const whole = await bytesOf(t, way, ['{}', ...others]);
    const deltas = await bytesOf(t, way, ['{"delta":true}', ...others]);
    t.diagnostic(`${way}: ${whole} bytes whole, ${deltas} as deltas`);
    assert.ok(deltas < whole / 10, `${deltas} bytes of ${whole}`);
  });
}
