/** How tabs share if a browser or a page doesn't support every way. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertOneConnection, assertWhole, eventually, Publisher, setScene } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:1';

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

test('auto: a page that may not speak to others is alone', LIMIT, async (t) => {
  const scene = await setScene(t, 'auto');
  const forbidden = `
    globalThis.BroadcastChannel = class {
      constructor() { throw new DOMException('The operation is insecure.', 'SecurityError'); }
    };`;
  await scene.context.addInitScript(forbidden);
  await scene.openMany(2, [TOPIC]);
  assert.deepEqual(
    scene.tabs.map(({ sockets }) => sockets),
    [1, 1],
  );
});

/** A machine whose pages come over plain HTTP: they have neither locks nor digests. */
const UNSAFE = { machine: 'some-host.test' };

test(
  'leader, on a page that is not secure: the tabs claim the lead, and nothing is missed',
  LIMIT,
  async (t) => {
    const scene = await setScene(t, 'leader', UNSAFE);
    await scene.openMany(5, [TOPIC]);
    const safety = await scene.tabs[0]!.page.evaluate('[isSecureContext, "locks" in navigator]');
    assert.deepEqual(safety, [false, false]);
    await assertOneConnection(scene);
    const publisher = new Publisher(t, scene.server, TOPIC, 200);
    await scene.tabs[0]!.reached(50);
    for (let closing = 0; closing < 3; closing += 1) {
      await scene.close(scene.leader()!);
      const [witness] = scene.tabs;
      await witness!.reached((await witness!.told()).offsets.at(-1)! + 100);
    }
    const last = await publisher.stop();
    for (const tab of scene.tabs) {
      await tab.reached(last);
      assertWhole(await tab.told(), last);
    }
    await assertOneConnection(scene);
  },
);

test(
  'auto, on a page that is not secure: a worker has the connection, and users never share',
  LIMIT,
  async (t) => {
    const scene = await setScene(t, 'auto', UNSAFE);
    for (const token of ['ada', 'ada', 'bob', 'bob']) {
      await scene.open([TOPIC], { token });
    }
    const counts = await eventually(
      () => scene.counts(),
      ({ connections }) => connections === 2,
    );
    assert.deepEqual([counts.connections, counts.subscriptions], [2, 2]);
    assert.equal(scene.leader(), undefined);
  },
);
