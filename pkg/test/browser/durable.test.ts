/** Devices that go away and come back, as pages of a browser, while their server is killed and restarted. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import { connect } from 'tidegate';

import { startPostgres, startRedis } from '../support/backends.js';
import { freeAddress } from '../support/ports.js';
import { publish, startServerAt } from '../support/server.js';
import { eventually, type Scene, setScene, type Tab, WAYS, type Way } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'user:7';

/** The device of these pages. Clients aren't authenticated, so the name must be impossible to guess. */
const PHONE = 'phone-b1946ac92492';
const TABLET = 'tablet-59c6c1d2b4b0';

async function newFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-durable-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return `sqlite:${join(folder, 'topics.db')}`;
}

/** Waits until this many durable subscriptions are held, and everything acknowledged is stored. */
async function isStored(server: string, held: number): Promise<void> {
  const ask = async (): Promise<string> => (await fetch(`${server}/metrics`)).text();
  const told = new RegExp(`^tidegate_durables ${held}$[^]*^tidegate_durables_unstored 0$`, 'm');
  assert.match(await eventually(ask, (text) => told.test(text)), told);
}

async function publishAll(server: string, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    await publish(server, TOPIC, number);
  }
}

/** Closes a page's connection regularly, as an application does at logout, and then the page. */
async function leave(scene: Scene, tab: Tab, held: number): Promise<void> {
  await tab.page.evaluate('tide.close()');
  await isStored(scene.server, held);
  await scene.close(tab);
}

/** Another device of the same user, which is not a browser: everything that it gets, up to this number. */
async function tabletReads(server: string, last: number): Promise<readonly unknown[]> {
  const tide = connect(server);
  const read: unknown[] = [];
  await new Promise<void>((resolve) => {
    tide.subscribe(TOPIC, { durable: TABLET }, ({ data }) => {
      read.push(data);
      if (data === last) {
        resolve();
      }
    });
  });
  tide.close();
  return read;
}

/** The data that a page has got; checks that nothing went wrong. */
async function dataOf(tab: Tab): Promise<readonly unknown[]> {
  const { data, wrong } = await tab.told();
  assert.deepEqual(wrong, []);
  return data;
}

async function goAwayAndComeBack(t: TestContext, way: Way, backend: string): Promise<void> {
  const first = await startServerAt(t, await freeAddress(), backend);
  const scene = await setScene(t, way, { server: first.url });
  const open = () => scene.open([TOPIC], { options: JSON.stringify({ durable: PHONE }) });

  const page = await open();
  await isStored(first.url, 1);
  await publishAll(first.url, [1]);
  assert.deepEqual(await tabletReads(first.url, 1), [1]);
  await publishAll(first.url, [2, 3]);
  await page.reached(3);
  assert.deepEqual(await dataOf(page), [1, 2, 3]);
  await leave(scene, page, 0);

  await publishAll(first.url, [4]);
  await first.kill();
  const second = await startServerAt(t, new URL(first.url).host, backend);
  await publishAll(second.url, [5, 6]);
  // Each gets exactly what it has missed. One that processes nothing leaves everything to the next.
  const stuck = await scene.open([]);
  await stuck.page.evaluate(`tide.subscribe('${TOPIC}', { durable: '${PHONE}' }, ({ offset, data }) => {
    told.offsets.push(offset);
    told.data.push(data);
    return new Promise(() => {});
  })`);
  await stuck.reached(6);
  assert.deepEqual(await dataOf(stuck), [4, 5, 6]);
  const heir = await open();
  await heir.reached(6);
  assert.deepEqual(await dataOf(heir), [4, 5, 6]);
  assert.deepEqual(await dataOf(stuck), [4, 5, 6], 'in one page nothing comes twice');
  assert.deepEqual(await tabletReads(second.url, 6), [2, 3, 4, 5, 6]);
  await scene.close(stuck);
  await isStored(second.url, 1);

  await publish(second.url, TOPIC, 7, { end: 'complete' });
  await heir.reached(7);
  assert.deepEqual(await dataOf(heir), [4, 5, 6, 7]);
  await leave(scene, heir, 0);
  const last = await open();
  await eventually(
    () => last.told(),
    ({ ends }) => ends.length > 0,
  );
  assert.deepEqual((await last.told()).ends, ['complete']);
  assert.deepEqual(await dataOf(last), [], 'the terminal publication, too, was dealt with');
}

for (const way of ['off', ...WAYS] as const) {
  test(`a page goes on where its device was, tabs: ${way}, on SQLite`, LIMIT, async (t) => {
    await goAwayAndComeBack(t, way, await newFile(t));
  });
}

test('a page goes on where its device was on Redis', LIMIT, async (t) => {
  await goAwayAndComeBack(t, 'off', (await startRedis(t)).url);
});

test('a page goes on where its device was on Postgres', LIMIT, async (t) => {
  await goAwayAndComeBack(t, 'off', (await startPostgres(t)).url);
});

/** Goes from the page to another one, as by a click on a link, as soon as it has processed what came. */
async function navigateAway(tab: Tab, offset: number): Promise<void> {
  await tab.page.evaluate(`new Promise((resolve) => {
    const look = () => {
      if (told.offsets.at(-1) >= ${offset}) {
        location.href = '/dist/index.js';
        resolve();
      } else {
        setTimeout(look, 5);
      }
    };
    look();
  })`);
  await tab.page.waitForURL(/index\.js$/);
}

for (const way of ['off', ...WAYS] as const) {
  test(
    `a page that is left for another repeats nothing when it is opened again, tabs: ${way}`,
    LIMIT,
    async (t) => {
      const server = await startServerAt(t, await freeAddress(), await newFile(t));
      const scene = await setScene(t, way, { server: server.url });
      const open = () => scene.open([TOPIC], { options: JSON.stringify({ durable: PHONE }) });
      const page = await open();
      await isStored(server.url, 1);
      await publishAll(server.url, [1, 2, 3]);
      await navigateAway(page, 3);
      await publishAll(server.url, [4]);
      const again = await open();
      await again.reached(4);
      assert.deepEqual(await dataOf(again), [4]);
      await publishAll(server.url, [5]);
      await navigateAway(again, 5);
      await publishAll(server.url, [6]);
      await again.page.goBack({ waitUntil: 'commit' });
      await again.reached(6);
      // A page that the browser has kept still has what it got before.
      const { persisted } = await again.told();
      assert.deepEqual(await dataOf(again), persisted > 0 ? [4, 5, 6] : [6]);
      t.diagnostic(persisted > 0 ? 'the page was kept' : 'the page was loaded again');
    },
  );
}
