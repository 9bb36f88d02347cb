/** Lifecycle events of pages, the network and the server while tabs share a connection. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { freeAddress } from '../support/ports.js';
import { startServerAt } from '../support/server.js';
import {
  assertOneConnection,
  assertWhole,
  eventually,
  Publisher,
  type Scene,
  setScene,
  type Tab,
  WAYS,
} from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:1';

const PER_SECOND = 200;

/** The tab that holds the connection, or any tab if a worker holds it. */
function holder(scene: Scene): Tab {
  return scene.leader() ?? scene.tabs[0]!;
}

for (const way of WAYS) {
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
    const first = await startServerAt(t, await freeAddress(), backend);
    const scene = await setScene(t, way, { server: first.url });
    await scene.openMany(4, [TOPIC]);
    const before = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    await scene.tabs[0]!.reached(10);
    const known = await before.stop();
    await first.kill();
    await startServerAt(t, new URL(first.url).host, backend);
    const after = new Publisher(t, scene.server, TOPIC, PER_SECOND);
    for (const tab of scene.tabs) {
      await tab.reached(known + 5);
    }
    const last = await after.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    await assertOneConnection(scene);
  });
}
