/** What becomes of pages, of the network and of the server while tabs share a connection. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { startServerAt } from '../support/server.js';
import {
  assertWhole,
  eventually,
  longestGap,
  Publisher,
  type Scene,
  setScene,
  type Tab,
  WAYS,
} from '../support/tabs.js';

/** What hangs has failed. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:1';

/** Slow enough for the topic's history to cover the time until a silent leader is replaced. */
const PER_SECOND = 20;

/** Who may have the connection: the tab that has it, or any where a worker has it. */
function holder(scene: Scene): Tab {
  return scene.leader() ?? scene.tabs[0]!;
}

async function assertOneConnection(scene: Scene): Promise<void> {
  const counts = await eventually(
    () => scene.counts(),
    ({ connections, subscriptions }) => connections === 1 && subscriptions === 1,
  );
  assert.deepEqual([counts.connections, counts.subscriptions], [1, 1]);
}

for (const way of WAYS) {
  test(`${way}: the tab with the connection freezes and thaws`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(4, [TOPIC]);
    const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await scene.tabs[0]!.reached(10);
    const frozen = holder(scene);
    const witness = scene.tabs.find((tab) => tab !== frozen)!;
    const lifecycle = await scene.context.newCDPSession(frozen.page);
    const since = Date.now();
    await lifecycle.send('Page.setWebLifecycleState', { state: 'frozen' });
    const known = (await witness.told()).offsets.at(-1)!;
    await witness.reached(known + 40);
    t.diagnostic(`${way}: frozen: ${longestGap(await witness.told(), since)} ms without a publication`);
    await lifecycle.send('Page.setWebLifecycleState', { state: 'active' });
    await frozen.reached(known + 60);
    const last = await publisher.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    await assertOneConnection(scene);
  });

  test(`${way}: the tab with the connection is reloaded, left and come back to`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(4, [TOPIC]);
    const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await scene.tabs[0]!.reached(10);
    const reloaded = holder(scene);
    await reloaded.page.reload();
    await reloaded.isConnected();
    const left = holder(scene);
    await left.page.goto(`${scene.front}/dist/index.js`);
    const others = scene.tabs.filter((tab) => tab !== left);
    const known = (await others[0]!.told()).offsets.at(-1)!;
    await others[0]!.reached(known + 20);
    // A page out of the cache is not loaded.
    await left.page.goBack({ waitUntil: 'commit' });
    await left.isConnected();
    await left.reached(known + 40);
    const last = await publisher.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    assert.equal((await left.told()).persisted, 1, 'it came back from the cache');
    await assertOneConnection(scene);
  });

  test(`${way}: the network goes and comes back`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(4, [TOPIC]);
    const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await scene.tabs[0]!.reached(10);
    scene.cut(true);
    await eventually(
      () => scene.counts(),
      ({ connections }) => connections === 1,
    );
    scene.cut(false);
    const last = await publisher.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    await assertOneConnection(scene);
  });

  test(`${way}: the server is started anew`, LIMIT, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tidegate-tabs-file-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const backend = `sqlite:${join(folder, 'topics.db')}`;
    const first = await startServerAt(t, '127.0.0.1:0', backend);
    const scene = await setScene(t, way, first.url);
    await scene.openMany(4, [TOPIC]);
    const before = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await scene.tabs[0]!.reached(10);
    const known = await before.stop();
    await first.kill();
    await startServerAt(t, new URL(first.url).host, backend);
    const after = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    for (const tab of scene.tabs) {
      await tab.reached(known + 5, 30_000);
    }
    const last = await after.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    await assertOneConnection(scene);
  });
}

test('worker: it dies with the tab that started it, and another one takes its place', LIMIT, async (t) => {
  const scene = await setScene(t, 'worker');
  await scene.openMany(4, [TOPIC]);
  const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
  await scene.tabs[3]!.reached(10);
  const [creator, ...others] = scene.tabs;
  const since = Date.now();
  const crashing = await scene.context.newCDPSession(creator!.page);
  crashing.send('Page.crash').catch(() => {});
  const known = (await others[0]!.told()).offsets.at(-1)!;
  await others[0]!.reached(known + 180);
  const last = await publisher.stop();
  for (const tab of others) {
    await tab.reached(last);
    assertWhole(await tab.told(), last);
  }
  t.diagnostic(`worker: died: ${longestGap(await others[0]!.told(), since)} ms without a publication`);
  await assertOneConnection(scene);
});

test('leader: it crashes, and another tab takes its place', LIMIT, async (t) => {
  const scene = await setScene(t, 'leader');
  await scene.openMany(4, [TOPIC]);
  const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
  await scene.tabs[3]!.reached(10);
  const leader = holder(scene);
  const others = scene.tabs.filter((tab) => tab !== leader);
  const since = Date.now();
  const crashing = await scene.context.newCDPSession(leader.page);
  crashing.send('Page.crash').catch(() => {});
  const known = (await others[0]!.told()).offsets.at(-1)!;
  await others[0]!.reached(known + 40);
  const last = await publisher.stop();
  for (const tab of others) {
    await tab.reached(last);
    assertWhole(await tab.told(), last);
  }
  t.diagnostic(`leader: crashed: ${longestGap(await others[0]!.told(), since)} ms without a publication`);
  await assertOneConnection(scene);
});

test('auto: tabs share, in whichever way there is', LIMIT, async (t) => {
  const scene = await setScene(t, 'auto');
  await scene.openMany(3, [TOPIC]);
  await assertOneConnection(scene);
});

test('auto: without a shared worker, a tab leads', LIMIT, async (t) => {
  const scene = await setScene(t, 'auto');
  await scene.context.addInitScript('delete globalThis.SharedWorker');
  await scene.openMany(3, [TOPIC]);
  await assertOneConnection(scene);
  assert.equal(scene.tabs.filter(({ sockets }) => sockets > 0).length, 1);
});

test('auto: where the worker’s file is not served, a tab leads', LIMIT, async (t) => {
  const scene = await setScene(t, 'auto');
  const broken = `
    const Real = SharedWorker;
    globalThis.SharedWorker = class extends Real {
      constructor(url, options) { super(new URL('missing.js', url), options); }
    };`;
  await scene.context.addInitScript(broken);
  await scene.openMany(3, [TOPIC]);
  await assertOneConnection(scene);
  assert.equal(scene.tabs.filter(({ sockets }) => sockets > 0).length, 1);
});

test('leader: it hangs, is replaced, and finds itself fenced off', LIMIT, async (t) => {
  const scene = await setScene(t, 'leader');
  await scene.openMany(4, [TOPIC]);
  const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND / 2);
  await scene.tabs[3]!.reached(10);
  const hung = holder(scene);
  const others = scene.tabs.filter((tab) => tab !== hung);
  const since = Date.now();
  const hanging = hung.page.evaluate('{ const until = Date.now() + 15_000; while (Date.now() < until); }');
  const known = (await others[0]!.told()).offsets.at(-1)!;
  await others[0]!.reached(known + 100);
  const gap = longestGap(await others[0]!.told(), since);
  t.diagnostic(`leader: hung: ${gap} ms without a publication`);
  assert.ok(gap < 12_000, 'another tab has taken over while it hung');
  await hanging;
  const last = await publisher.stop();
  for (const tab of scene.tabs) {
    await tab.reached(last);
    assertWhole(await tab.told(), last);
  }
  await assertOneConnection(scene);
});
