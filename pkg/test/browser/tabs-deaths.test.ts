/** Tabs and workers that end, sleep or hang silently while many publications flow: how soon the others notice. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  assertOneConnection,
  assertWhole,
  eventually,
  longestGap,
  Publisher,
  type Scene,
  setScene,
  type Tab,
} from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:1';

const PER_SECOND = 200;

/** Lets `fate` happen to a tab while publications flow; returns for how long the others got none. */
async function suffer(
  scene: Scene,
  publisher: Publisher,
  victim: Tab,
  fate: () => Promise<unknown>,
): Promise<number> {
  const others = scene.tabs.filter((tab) => tab !== victim);
  await others[0]!.reached(100);
  const since = Date.now();
  fate().catch(() => {});
  const known = (await others[0]!.told()).offsets.at(-1)!;
  // Long enough to notice, and to go on for a while.
  await others[0]!.reached(known + 5 * PER_SECOND);
  assert.ok(publisher.isRunning);
  return longestGap(await others[0]!.told(), since);
}

/** Checks the number of connections, which includes the publisher's. */
async function assertConnections(scene: Scene, expected: number): Promise<void> {
  const { connections } = await eventually(
    () => scene.counts(),
    ({ connections }) => connections === expected,
  );
  assert.equal(connections, expected);
}

/** Lets a tab hang: a synchronous request blocks it until `release` is called. */
async function hangs(scene: Scene): Promise<{ hang(tab: Tab): Promise<unknown>; release(): void }> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await scene.context.route('**/released', async (route) => {
    await released;
    await route.fulfill({ body: '' });
  });
  const asking =
    "{ const request = new XMLHttpRequest(); request.open('GET', '/released', false); request.send(); }";
  return { hang: (tab) => tab.page.evaluate(asking), release };
}

async function assertAllWhole(tabs: readonly Tab[], last: number): Promise<void> {
  for (const tab of tabs) {
    await tab.reached(last);
    assertWhole(await tab.told(), last);
  }
}

for (const [way, name] of [
  ['worker', 'the tab that started the worker'],
  ['leader', 'the leader'],
] as const) {
  test(`${way}: ${name} crashes`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(4, [TOPIC]);
    const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    const victim = scene.leader() ?? scene.tabs[0]!;
    const devtools = await scene.context.newCDPSession(victim.page);
    const gap = await suffer(scene, publisher, victim, () => devtools.send('Page.crash'));
    t.diagnostic(`${way}: crashed: ${gap} ms without a publication`);
    scene.tabs.splice(scene.tabs.indexOf(victim), 1);
    await assertAllWhole(scene.tabs, await publisher.stop());
    await assertOneConnection(scene);
  });
}

test('leader: it hangs with its socket open, and the server ends its connection', LIMIT, async (t) => {
  const scene = await setScene(t, 'leader');
  await scene.openMany(4, [TOPIC]);
  const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
  const hung = scene.leader()!;
  const others = scene.tabs.filter((tab) => tab !== hung);
  const { hang, release } = await hangs(scene);
  const gap = await suffer(scene, publisher, hung, () => hang(hung));
  t.diagnostic(`leader: hung: ${gap} ms without a publication`);
  const next = others.find(({ sockets }) => sockets > 0);
  assert.ok(next, 'another tab has a connection');
  await assertConnections(scene, 1 + 1);
  release();
  await assertAllWhole(scene.tabs, await publisher.stop());
  await assertOneConnection(scene);
});
