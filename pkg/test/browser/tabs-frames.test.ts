/** Frames with an opaque origin: they can't share, and have a connection of their own. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { publish } from '../support/server.js';
import { assertWhole, eventually, setScene, type Told } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 90_000 };

const TOPIC = 'job:1';

test('a sandboxed frame is on its own beside tabs that share, and is told the same', LIMIT, async (t) => {
  // To a frame with an opaque origin, even the files are cross-origin.
  const headers = { 'access-control-allow-origin': '*' };
  const scene = await setScene(t, 'auto', { headers });
  await scene.openMany(2, [TOPIC]);
  const { page } = scene.tabs[0]!;
  await page.evaluate(`{
    const frame = document.createElement('iframe');
    frame.sandbox = 'allow-scripts';
    frame.src = '/?tabs=auto&topic=${TOPIC}';
    document.body.append(frame);
  }`);
  const isThere = async () => page.frames().find((frame) => frame !== page.mainFrame() && frame.url() !== '');
  const frame = (await eventually(isThere, (found) => found !== undefined))!;
  await frame.waitForFunction(`globalThis.tide?.state.status === 'connected'`);
  assert.equal(await frame.evaluate('origin'), 'null');
  const counts = await eventually(
    () => scene.counts(),
    ({ connections, subscriptions }) => connections === 2 && subscriptions === 2,
  );
  assert.deepEqual([counts.connections, counts.subscriptions], [2, 2]);
  for (let number = 1; number <= 5; number += 1) {
    await publish(scene.server, TOPIC, number);
  }
  await frame.waitForFunction('told.offsets.at(-1) === 5');
  assertWhole((await frame.evaluate('told')) as Told, 5);
  for (const tab of scene.tabs) {
    await tab.reached(5);
    assertWhole(await tab.told(), 5);
  }
});
