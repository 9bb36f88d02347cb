/** The tab with the connection is closed, again and again, and nothing is lost or delivered twice. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertWhole, eventually, longestGap, median, Publisher, setScene, WAYS } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 600_000 };

/** The number of closings in a row. */
const CLOSINGS = Number(process.env['TIDEGATE_TAB_CLOSINGS'] ?? 10);

const TOPIC = 'job:1';

for (const way of WAYS) {
  test(`${way}: tabs close at random, and the others miss nothing`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(10, [TOPIC]);
    const publisher = new Publisher(t, scene.server, TOPIC, 200);
    for (const tab of scene.tabs) {
      await tab.reached(1);
    }
    const gaps: number[] = [];
    for (let closing = 0; closing < CLOSINGS; closing += 1) {
      const victim = scene.leader() ?? scene.tabs[closing % scene.tabs.length]!;
      const told = await victim.told();
      assert.deepEqual(told.wrong, []);
      const since = Date.now();
      await scene.close(victim);
      // A tab that was already open.
      const witness = scene.tabs[closing % 5]!;
      const known = (await witness.told()).offsets.at(-1)!;
      await witness.reached(known + 60);
      gaps.push(longestGap(await witness.told(), since));
      const opened = await scene.open([TOPIC]);
      await opened.reached(1);
    }
    const last = await publisher.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    const counts = await eventually(
      () => scene.counts(),
      ({ connections }) => connections === 1,
    );
    assert.deepEqual([counts.connections, counts.subscriptions], [1, 1]);
    t.diagnostic(
      `${way}: ${CLOSINGS} closings; longest time without a publication: median ${median(gaps)} ms, max ${Math.max(...gaps)} ms`,
    );
  });
}
