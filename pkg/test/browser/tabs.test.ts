/** All tabs of a real browser share one connection: which tab holds it, which ones share it, and what they get. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { publish } from '../support/server.js';
import { assertWhole, countsOf, eventually, Publisher, setScene, WAYS } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 600_000 };

const TOPIC = 'job:1';
const OTHER = 'job:2';

for (const way of WAYS) {
  test(`${way}: ten tabs are one connection with one subscription for each topic`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(10, [TOPIC, OTHER]);
    const counts = await eventually(
      () => scene.counts(),
      ({ connections, subscriptions }) => connections === 1 && subscriptions === 2,
    );
    assert.equal(counts.connections, 1);
    assert.equal(counts.subscriptions, 2);
    const publisher = new Publisher(t, scene.server, TOPIC, 200);
    await scene.tabs[0]!.reached(200);
    const last = await publisher.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    assert.equal(scene.tabs.filter(({ sockets }) => sockets > 0).length, way === 'leader' ? 1 : 0);
  });

  test(`${way}: users never share`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    for (const token of ['ada', 'ada', 'bob', 'bob']) {
      await scene.open([TOPIC], { token });
    }
    const counts = await eventually(
      () => scene.counts(),
      ({ connections }) => connections === 2,
    );
    assert.deepEqual([counts.connections, counts.subscriptions], [2, 2]);
  });

  test(`${way}: who is in several tabs is present once, with a meta for each`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    await scene.openMany(3, []);
    const listed = `room.list().map(({ key, metas }) => key + metas.length).join()`;
    for (const [index, { page }] of scene.tabs.entries()) {
      await page.evaluate(`{
        globalThis.room = tide.presence('doc:7');
        room.onChange(() => {});
        room.track('${index === 2 ? 'bob' : 'ada'}', { tab: ${index} });
      }`);
    }
    for (const { page } of scene.tabs) {
      const all = await eventually(
        () => page.evaluate(listed),
        (found) => found === 'ada2,bob1',
      );
      assert.equal(all, 'ada2,bob1');
    }
    await scene.close(scene.leader() ?? scene.tabs[0]!);
    for (const { page } of scene.tabs) {
      const left = await eventually(
        () => page.evaluate(listed),
        (found) => found === 'ada1,bob1',
      );
      assert.equal(left, 'ada1,bob1');
    }
  });

  test(`${way}: the end of a topic reaches every tab at once, whatever its pace`, LIMIT, async (t) => {
    const scene = await setScene(t, way);
    for (let number = 0; number < 4; number += 1) {
      await scene.open([TOPIC], { options: '{"throttle":"1h"}' });
    }
    await publish(scene.server, TOPIC, { progress: 0.1 });
    await scene.tabs[0]!.reached(1);
    await publish(scene.server, TOPIC, { progress: 0.5 });
    await publish(scene.server, TOPIC, { progress: 1 }, { end: 'complete' });
    for (const tab of scene.tabs) {
      await tab.reached(3);
      const { ends, data, wrong } = await tab.told();
      assert.deepEqual([ends, data.at(-1), wrong], [['complete'], { progress: 1 }, []]);
    }
  });
}

for (const way of WAYS) {
  test(
    `${way}: tabs that are paced by frames are each given what is newest, and the end`,
    LIMIT,
    async (t) => {
      const scene = await setScene(t, way);
      for (let number = 0; number < 3; number += 1) {
        await scene.open([TOPIC], { options: '{"throttle":"frame"}' });
      }
      const publisher = new Publisher(t, scene.server, TOPIC, 500);
      await scene.tabs[0]!.reached(500);
      const last = await publisher.stop();
      await publish(scene.server, TOPIC, { n: 'last' }, { end: 'complete' });
      for (const tab of scene.tabs) {
        await tab.reached(last + 1);
        const { offsets, data, ends, wrong } = await tab.told();
        assert.deepEqual([ends, data.at(-1), wrong], [['complete'], { n: 'last' }, []]);
        assert.deepEqual(
          offsets,
          [...offsets].sort((one, other) => one - other),
        );
        assert.ok(offsets.length < last, `${offsets.length} of ${last} in the time of fewer frames`);
      }
    },
  );
}

test('off: every tab has a connection of its own', LIMIT, async (t) => {
  const scene = await setScene(t, 'off');
  await scene.openMany(3, [TOPIC]);
  const counts = await eventually(
    () => countsOf(scene.server),
    ({ connections }) => connections === 3,
  );
  assert.equal(counts.connections, 3);
});
