/** A worker dies and can't be replaced: a tab leads instead, and no tab misses an update or gets one twice. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { publish, startServerAt } from '../support/server.js';
import { assertWhole, eventually, Publisher, type Scene, setScene } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:1';

const PER_SECOND = 100;

/** Makes the worker's file unavailable from the moment that a page says so. */
const VANISHING_WORKER = `
  const Real = SharedWorker;
  globalThis.SharedWorker = class extends Real {
    constructor(url, options) { super(globalThis.isGone ? new URL('missing.js', url) : url, options); }
  };`;

/** Ends the worker of all tabs, and makes new ones fail. */
async function loseWorker(scene: Scene): Promise<void> {
  for (const { page } of scene.tabs) {
    await page.evaluate('void (globalThis.isGone = true)');
  }
  const devtools = await scene.browser.newBrowserCDPSession();
  const { targetInfos } = await devtools.send('Target.getTargets');
  const workers = targetInfos.filter(({ type }) => type === 'shared_worker');
  assert.equal(workers.length, 1);
  await devtools.send('Target.closeTarget', { targetId: workers[0]!.targetId });
}

test('auto: what follows the worker goes on where each subscription was', LIMIT, async (t) => {
  const scene = await setScene(t, 'auto');
  await scene.context.addInitScript(VANISHING_WORKER);
  const throttled = JSON.stringify({ throttle: '300ms', conflate: { collect: 1_000 } });
  const framed = JSON.stringify({ throttle: 'frame', conflate: { collect: 1_000 } });
  await scene.open([TOPIC]);
  await scene.open(['job:*'], { options: '{"since":[]}' });
  await scene.open([TOPIC], { options: throttled });
  await scene.open([TOPIC], { options: framed });
  const publisher = new Publisher(t, scene.server, TOPIC, PER_SECOND);
  await scene.tabs[0]!.reached(100);
  await loseWorker(scene);
  await scene.tabs[0]!.reached(100 + 15 * PER_SECOND, 40_000);
  const last = await publisher.stop();
  for (const tab of scene.tabs) {
    await tab.reached(last);
    const told = await tab.told();
    assertWhole(told, last);
    assert.ok(told.offsets[0]! < 100, `it began with ${told.offsets[0]}`);
  }
  assert.ok(scene.leader(), 'a tab leads');
});

test('auto: who waits for what is new waits for what is new since', LIMIT, async (t) => {
  const scene = await setScene(t, 'auto');
  await scene.context.addInitScript(VANISHING_WORKER);
  const tab = await scene.open([]);
  await tab.page.evaluate(`tide.publish('${TOPIC}', 'before')`);
  await tab.page.evaluate(`follow('${TOPIC}', { latest: false })`);
  // This publish is confirmed, so the earlier requests are done, too.
  await tab.page.evaluate(`tide.publish('job:2', 'after')`);
  await loseWorker(scene);
  await publish(scene.server, TOPIC, 'meanwhile');
  assert.ok(await eventually(async () => scene.leader(), Boolean), 'a tab leads');
  await publish(scene.server, TOPIC, 'after');
  await tab.reached(3);
  const { offsets, wrong } = await tab.told();
  assert.deepEqual([offsets, wrong], [[2, 3], []]);
});

test('auto: a publish that nobody has answered takes place once', LIMIT, async (t) => {
  const server = await startServerAt(t, '127.0.0.1:0');
  const scene = await setScene(t, 'auto', { server: server.url });
  await scene.context.addInitScript(VANISHING_WORKER);
  const tab = await scene.open([TOPIC]);
  await tab.page.evaluate(`tide.publish('${TOPIC}', 'first')`);
  server.halt(true);
  const bytesBefore = scene.carried().bytesSent;
  await tab.page.evaluate(`{
    globalThis.answer = undefined;
    void tide.publish('${TOPIC}', 'second').then(({ offset }) => { answer = offset; }, (error) => { answer = String(error); });
  }`);
  await eventually(
    async () => scene.carried().bytesSent,
    (bytes) => bytes > bytesBefore,
  );
  await loseWorker(scene);
  assert.ok(await eventually(async () => scene.leader(), Boolean), 'a tab leads');
  server.halt(false);
  await tab.page.waitForFunction('answer !== undefined', undefined, { timeout: 40_000 });
  assert.equal(await tab.page.evaluate('answer'), 2);
  const { offset } = (await tab.page.evaluate(`tide.publish('${TOPIC}', 'third')`)) as { offset: number };
  assert.equal(offset, 3);
  await tab.reached(3);
  assertWhole(await tab.told(), 3);
});
