/** The labeling example: labelers and observers on two servers that share a real Redis. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';

import { startRedis } from '../support/backends.js';
import { complaints, startBrowser } from '../support/browser.js';
import { freeAddress } from '../support/ports.js';
import { packageRoot, type RunningServer, startExample, startExampleAt } from '../support/server.js';

/** A test that takes longer is considered hung. A killed server is noticed after 15 s. */
const LIMIT = { timeout: 180_000 };

const PATIENCE = { timeout: 60_000 };

const results = join(packageRoot, 'test-results');

/** The stored state, according to a server. */
interface Stored {
  readonly done: number;
  readonly labelers: Readonly<Record<string, number>>;
}

/** A page in a browser profile of its own, like each user's. */
function open(browser: Browser, look: object = {}): Promise<Page> {
  return browser.newPage({ viewport: { width: 900, height: 620 }, ...look });
}

/** Opens the page of a labeler. */
async function labeler(browser: Browser, server: string, name: string): Promise<Page> {
  const page = await open(browser);
  await page.goto(server);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Good' }).waitFor();
  return page;
}

/** Labels the review that is shown, and waits for the next one. */
async function label(page: Page): Promise<void> {
  const before = await page.locator('#review').textContent();
  await page.keyboard.press('1');
  await page.locator('#review').filter({ hasNotText: before! }).waitFor(PATIENCE);
}

/** Waits until a page shows these texts. */
async function reads(page: Page, ...texts: readonly (string | RegExp)[]): Promise<void> {
  for (const text of texts) {
    await page.getByText(text).first().waitFor(PATIENCE);
  }
}

async function startTwo(t: TestContext): Promise<(listen?: string) => Promise<RunningServer>> {
  const redis = await startRedis(t);
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-labeling-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const shared = ['--backend', redis.url, '--labels', join(folder, 'labels.db')];
  return async (listen) => startExampleAt(t, 'labeling', [listen ?? (await freeAddress()), ...shared]);
}

const stored = async ({ url }: RunningServer): Promise<Stored> =>
  (await (await fetch(`${url}/labels`)).json()) as Stored;

test('labelers of two servers read the same, whichever tab or server is killed', LIMIT, async (t) => {
  const start = await startTwo(t);
  const [one, two] = [await start(), await start()];
  const browser = await startBrowser(t);
  const admin = await open(browser);
  await admin.goto(`${one.url}/admin`);
  const ada = await labeler(browser, one.url, 'Ada');
  const ben = await labeler(browser, two.url, 'Ben');
  const cem = await labeler(browser, two.url, 'Cem');
  const cems = (await cem.locator('#review').textContent())!;

  await label(ada);
  for (const page of [admin, ada, ben, cem]) {
    await reads(page, '1 / 500 labeled (0.2%)', '3 active labelers');
  }

  // A crashed tab says no goodbye. Its labeler is no longer active, and their review goes to others.
  const inspector = await cem.context().newCDPSession(cem);
  void inspector.send('Page.crash').catch(() => {});
  for (const page of [admin, ada, ben]) {
    await reads(page, '2 active labelers');
  }
  await label(ben);
  await label(ada);
  const theirs = [ada, ben].map((page) =>
    page.locator('#review').filter({ hasText: cems }).waitFor(PATIENCE),
  );
  await Promise.any(theirs);
  void Promise.allSettled(theirs);

  // A server is killed during work: its pages reconnect by themselves once it is back.
  for (let count = 0; count < 8; count += 1) {
    await ben.keyboard.press('2');
    await label(ada);
    if (count === 3) {
      await two.kill();
    }
  }
  const again = await start(new URL(two.url).host);
  await ben.locator('#connection').filter({ hasText: 'connected' }).waitFor(PATIENCE);
  await ben.getByRole('button', { name: 'Good' }).waitFor(PATIENCE);
  await label(ben);

  // In the end the store, both servers and all pages agree.
  const truth = await stored(one);
  assert.deepEqual(await stored(again), truth);
  assert.ok(truth.done >= 12, `${truth.done} are stored`);
  for (const page of [admin, ada, ben]) {
    await reads(page, new RegExp(`^${truth.done} / 500 labeled`), '2 active labelers');
  }
  for (const [name, count] of Object.entries(truth.labelers)) {
    const row = admin.locator('#people tr').filter({ hasText: name });
    await row.getByText(String(count), { exact: true }).waitFor(PATIENCE);
  }
});

test('the pages are drawn in the light and in the dark, on a phone, too', LIMIT, async (t) => {
  const server = await startExample(t, 'labeling');
  const browser = await startBrowser(t);
  await mkdir(results, { recursive: true });
  const ada = await labeler(browser, server, 'Ada');
  await labeler(browser, server, 'Ben');
  for (let count = 0; count < 5; count += 1) {
    await label(ada);
  }
  for (const colorScheme of ['light', 'dark'] as const) {
    const admin = await open(browser, { colorScheme });
    const problems = complaints(admin);
    await admin.goto(`${server}/admin`);
    await ada.emulateMedia({ colorScheme });
    for (const [name, page] of [
      ['', ada],
      ['-admin', admin],
    ] as const) {
      await reads(page, '5 / 500 labeled (1%)', '2 active labelers');
      await page.screenshot({ path: join(results, `example-labeling${name}-${colorScheme}.png`) });
      await page.setViewportSize({ width: 380, height: 720 });
      const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(width <= 0, 'nothing sticks out to the side');
      await page.screenshot({ path: join(results, `example-labeling${name}-${colorScheme}-phone.png`) });
      await page.setViewportSize({ width: 900, height: 620 });
    }
    assert.deepEqual(problems, []);
  }
});
