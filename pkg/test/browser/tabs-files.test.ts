/** Tabs whose files are missing, or go missing: they share in another way, or report what is missing. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { complaints } from '../support/browser.js';
import {
  assertOneConnection,
  eventually,
  Publisher,
  type Scene,
  setScene,
  type Tab,
  type Told,
} from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:1';

/** A scene whose files can go missing. */
async function setSceneOfFiles(t: TestContext): Promise<{ scene: Scene; lose(files: RegExp): void }> {
  let lost = /^never$/;
  const scene = await setScene(t, 'auto', { isServed: (path) => !lost.test(path) });
  return {
    scene,
    lose: (files) => {
      lost = files;
    },
  };
}

async function workersOf({ browser }: Scene): Promise<string[]> {
  const devtools = await browser.newBrowserCDPSession();
  const { targetInfos } = await devtools.send('Target.getTargets');
  return targetInfos.filter(({ type }) => type === 'shared_worker').map(({ targetId }) => targetId);
}

/** Kills the worker that holds the connection. */
async function endWorker(scene: Scene): Promise<void> {
  const devtools = await scene.browser.newBrowserCDPSession();
  for (const targetId of await workersOf(scene)) {
    await devtools.send('Target.closeTarget', { targetId });
  }
}

interface Closed {
  readonly status: string;
  readonly code?: string;
  readonly message?: string;
}

const stateOf = (page: Tab['page']): Promise<Closed> =>
  page.evaluate('({ status: tide.state.status, ...tide.state.error, message: tide.state.error?.message })');

const isLoadFailed = (wrong: Told['wrong']): boolean =>
  wrong.some((text) => /could not be loaded: .*tabs\.wasm answers 404/.test(text));

test('a tab whose worker dies and none of whose files is served any more says so', LIMIT, async (t) => {
  const { scene, lose } = await setSceneOfFiles(t);
  const tab = await scene.open([TOPIC]);
  const uncaught: unknown[] = [];
  tab.page.on('pageerror', (error) => uncaught.push(error));
  lose(/^\/dist\//);
  await endWorker(scene);
  const { status, code, message } = await eventually(
    () => stateOf(tab.page),
    (state) => state.status === 'closed',
  );
  assert.deepEqual([status, code], ['closed', 'load_failed']);
  assert.match(message!, /client\.wasm answers 404/);
  assert.ok(isLoadFailed((await tab.told()).wrong));
  const publishing = `tide.publish('${TOPIC}', 1).catch(({ code }) => code)`;
  assert.equal(await tab.page.evaluate(publishing), 'closed');
  assert.deepEqual(uncaught, []);
});

test('where it can be alone yet, it is, and says why', LIMIT, async (t) => {
  const { scene, lose } = await setSceneOfFiles(t);
  const tab = await scene.open([TOPIC]);
  const publisher = new Publisher(t, scene.server, TOPIC, 50);
  await tab.reached(20);
  lose(/worker\.|tabs\.wasm/);
  await endWorker(scene);
  await eventually(
    () => tab.told(),
    ({ wrong }) => wrong.length > 0,
  );
  await tab.isConnected();
  await tab.reached((await tab.told()).offsets.at(-1)! + 1);
  const known = (await tab.told()).offsets.at(-1)!;
  await tab.reached(known + 50);
  const last = await publisher.stop();
  await tab.reached(last);
  const { offsets, wrong } = await tab.told();
  assert.equal(wrong.length, 1);
  assert.ok(isLoadFailed(wrong));
  const since = offsets.filter((offset) => offset > last - 20);
  assert.deepEqual(
    since,
    Array.from({ length: 20 }, (_, index) => last - 19 + index),
  );
  assert.equal(await tab.page.evaluate('tide.state.status'), 'connected');
});

test('a page that finds neither the worker nor another way says so', LIMIT, async (t) => {
  const { scene, lose } = await setSceneOfFiles(t);
  lose(/worker\.|tabs\.wasm|client\.wasm/);
  const page = await scene.context.newPage();
  const uncaught = complaints(page);
  await page.goto(`${scene.front}/?topic=${TOPIC}`);
  const { code } = await eventually(
    () => stateOf(page),
    ({ status }) => status === 'closed',
  );
  assert.equal(code, 'load_failed');
  const wrong = await page.evaluate<string[]>('told.wrong');
  assert.ok(isLoadFailed(wrong));
  assert.deepEqual(
    wrong.filter((text) => /--origin/.test(text)),
    [],
  );
  assert.deepEqual(
    uncaught.filter((text) => !/404/.test(text)),
    [],
  );
});

test('where the worker can’t load its core, a tab leads, and no worker is left', LIMIT, async (t) => {
  const { scene, lose } = await setSceneOfFiles(t);
  lose(/worker\.wasm/);
  await scene.openMany(3, [TOPIC]);
  await assertOneConnection(scene);
  assert.equal(scene.tabs.filter(({ sockets }) => sockets > 0).length, 1);
  const left = await eventually(
    () => workersOf(scene),
    (workers) => workers.length === 0,
  );
  assert.deepEqual(left, []);
});
