/** Tabs that the browser hides, freezes and discards, in a browser whose tabs really are hidden. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { type RawBrowser, type RawTab, startRawBrowser } from '../support/raw-tabs.js';
import {
  assertWhole,
  countsOf,
  eventually,
  longestGap,
  Publisher,
  servePage,
  type Told,
  WAYS,
} from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 300_000 };

/** How long tabs are hidden, in seconds. */
const HIDDEN_S = Number(process.env['TIDEGATE_HIDDEN_SECONDS'] ?? 15);

/** After two hidden seconds, rather than five minutes, timers run only once a minute. */
const ONCE_A_MINUTE = [
  '--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/2',
  '--intensive-wake-up-throttling-policy=force-enable',
];

const TOPIC = 'job:1';

const PER_SECOND = 200;

interface Scene {
  readonly browser: RawBrowser;
  readonly server: string;
  readonly tabs: readonly RawTab[];
  readonly urls: readonly string[];
}

/** A browser with tabs that follow a topic; the last one is visible. */
async function setRawScene(
  t: TestContext,
  way: string,
  more = '',
  flags: readonly string[] = [],
): Promise<Scene> {
  const { server, front } = await servePage(t);
  const browser = await startRawBrowser(t, flags);
  const tabs: RawTab[] = [];
  const urls: string[] = [];
  for (let number = 0; number < 4; number += 1) {
    const url = `${front}/?tabs=${way}&topic=${TOPIC}&number=${number}${more}`;
    const tab = await browser.open(url);
    await waitFor(tab, `globalThis.tide?.state.status === 'connected'`);
    tabs.push(tab);
    urls.push(url);
  }
  return { browser, server, tabs, urls };
}

async function waitFor(tab: RawTab, condition: string, timeoutMs = 30_000): Promise<void> {
  const is = await eventually(() => tab.evaluate(condition), Boolean, timeoutMs);
  assert.ok(is, `a tab waited in vain for ${condition}`);
}

const reached = (tab: RawTab, offset: number): Promise<void> =>
  waitFor(tab, `told.offsets.at(-1) >= ${offset}`);

const toldTo = (tab: RawTab): Promise<Told> => tab.evaluate<Told>('told');

/** The hidden tab with the connection, or the first one if a worker holds it, and a visible one. */
async function hiddenHolder({ tabs }: Scene): Promise<{ holder: number; witness: RawTab }> {
  const sockets = await Promise.all(tabs.map((tab) => tab.evaluate<number>('sockets')));
  const holder = Math.max(
    sockets.findIndex((count) => count > 0),
    0,
  );
  const witness = tabs.find((_, index) => index !== holder)!;
  await witness.show();
  await waitFor(tabs[holder]!, `document.visibilityState === 'hidden'`);
  return { holder, witness };
}

async function assertAllWhole(tabs: readonly RawTab[], last: number): Promise<void> {
  for (const tab of tabs) {
    await reached(tab, last);
    assertWhole(await toldTo(tab), last);
  }
}

async function assertConnections(server: string, expected: number): Promise<void> {
  const { connections } = await eventually(
    () => countsOf(server),
    ({ connections }) => connections === expected,
  );
  assert.equal(connections, expected);
}

for (const way of WAYS) {
  for (const more of ['', '&deaf']) {
    const how = more === '' ? 'it is told so' : 'nobody in it hears of that';
    test(`${way}: the tab with the connection freezes, and ${how}`, LIMIT, async (t) => {
      const scene = await setRawScene(t, way, more);
      const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
      await reached(scene.tabs[0]!, 100);
      const { holder, witness } = await hiddenHolder(scene);
      const frozen = scene.tabs[holder]!;
      const since = Date.now();
      await frozen.freeze(true);
      const known = (await toldTo(witness)).offsets.at(-1)!;
      await reached(witness, known + 5 * PER_SECOND);
      const gap = longestGap(await toldTo(witness), since);
      t.diagnostic(`${way}: frozen, ${how}: ${gap} ms without a publication`);
      await assertConnections(scene.server, 1 + 1);
      await frozen.freeze(false);
      const last = await publisher.stop();
      await assertAllWhole(scene.tabs, last);
      await assertConnections(scene.server, 1);
    });
  }

  test(`${way}: the tab with the connection is discarded`, LIMIT, async (t) => {
    const scene = await setRawScene(t, way);
    const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await reached(scene.tabs[0]!, 100);
    const { holder, witness } = await hiddenHolder(scene);
    const since = Date.now();
    await scene.browser.discard(scene.urls[holder]!);
    const known = (await toldTo(witness)).offsets.at(-1)!;
    await reached(witness, known + 2 * PER_SECOND);
    const gap = longestGap(await toldTo(witness), since);
    t.diagnostic(`${way}: discarded: ${gap} ms without a publication`);
    const last = await publisher.stop();
    const others = scene.tabs.filter((_, index) => index !== holder);
    await assertAllWhole(others, last);
    await assertConnections(scene.server, 1);

    // When it is shown again, the browser reloads it, and it rejoins the others.
    const again = await scene.browser.loadAgain(scene.urls[holder]!);
    await reached(again, last);
    const next = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await reached(again, last + 100);
    const end = await next.stop();
    await assertAllWhole([again, ...others], end);
    await assertConnections(scene.server, 1);
  });

  test(`${way}: hidden tabs stay connected`, LIMIT, async (t) => {
    const scene = await setRawScene(t, way, '', ONCE_A_MINUTE);
    for (const tab of scene.tabs) {
      await tab.evaluate(`{
        globalThis.states = [];
        tide.on('state', ({ status }) => { states.push(status); });
      }`);
    }
    await hideAll(scene);
    const publisher = new Publisher(t, scene.server, TOPIC, 1);
    await new Promise((resolve) => setTimeout(resolve, HIDDEN_S * 1000));
    const last = await publisher.stop();
    await assertAllWhole(scene.tabs, last);
    for (const tab of scene.tabs) {
      assert.deepEqual(await tab.evaluate('states'), []);
    }
    await assertConnections(scene.server, 1);
  });
}

/** Hides all tabs, until their timers are late. */
async function hideAll({ browser, tabs }: Scene): Promise<void> {
  await browser.open('about:blank');
  for (const tab of tabs) {
    await waitFor(tab, `document.visibilityState === 'hidden'`);
  }
  const ticks = '{ globalThis.ticks = 0; setInterval(() => { globalThis.ticks += 1; }, 50); }';
  const [first] = tabs;
  await first!.evaluate(ticks);
  let before = -1;
  const isLate = await eventually(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const now = await first!.evaluate<number>('ticks');
      const stands = now === before;
      before = now;
      return stands;
    },
    Boolean,
    20_000,
  );
  assert.ok(isLate, 'the timers of a hidden tab come late');
}

test(
  'leader: all tabs are hidden, and one that sleeps without a word is replaced as soon',
  LIMIT,
  async (t) => {
    const scene = await setRawScene(t, 'leader', '&deaf', ONCE_A_MINUTE);
    const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await hideAll(scene);
    const sockets = await Promise.all(scene.tabs.map((tab) => tab.evaluate<number>('sockets')));
    const frozen = scene.tabs[sockets.findIndex((count) => count > 0)]!;
    const witness = scene.tabs.find((tab) => tab !== frozen)!;
    const workers = await witness.evaluate<readonly string[]>('workers');
    assert.ok(
      workers.some((url) => url.endsWith('/clock-worker.js')),
      `a hidden tab has a worker that keeps its time, and not only ${workers}`,
    );
    const since = Date.now();
    await frozen.freeze(true);
    const known = (await toldTo(witness)).offsets.at(-1)!;
    await reached(witness, known + 5 * PER_SECOND);
    const gap = longestGap(await toldTo(witness), since);
    t.diagnostic(`leader: hidden, frozen without a word: ${gap} ms without a publication`);
    assert.ok(gap < 10_000, `${gap} ms`);
    await assertConnections(scene.server, 1 + 1);
    await frozen.freeze(false);
    const last = await publisher.stop();
    await assertAllWhole(scene.tabs, last);
  },
);
