/** The chart of the dashboard in a real browser, with a real server. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import type { Page, Request } from 'playwright-core';

import { complaints, startBrowser } from '../support/browser.js';
import { publish, startServer } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

/** The unanswered requests of each page. */
const asked = new WeakMap<Page, Set<Request>>();

function noteRequests(page: Page): void {
  const pending = new Set<Request>();
  page.on('request', (request) => pending.add(request));
  page.on('requestfinished', (request) => pending.delete(request));
  page.on('requestfailed', (request) => pending.delete(request));
  asked.set(page, pending);
}

interface SetUp {
  readonly server: string;
  readonly page: Page;
  readonly problems: string[];
}

/** A page whose clock stands still until the test advances it. */
async function setUp(t: TestContext, path: string, prepare?: (page: Page) => Promise<void>): Promise<SetUp> {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 1100, height: 760 } });
  const problems = complaints(page);
  noteRequests(page);
  await page.clock.install();
  await prepare?.(page);
  await page.goto(server + path);
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
  return { server, page, problems };
}

/** Lets time pass until the chart's description is as expected. It asks the server once a second. */
async function says(page: Page, expected: RegExp): Promise<string> {
  for (let second = 0; second < 60; second += 1) {
    await page.clock.runFor(1_000);
    // The page's clock must not run ahead of the server's answers.
    while (asked.get(page)!.size > 0) {
      await delay(10);
    }
    const said = (await page.locator('#throughput desc').textContent()) ?? '';
    if (expected.test(said)) {
      return said;
    }
  }
  throw new Error(`it says ${await page.locator('#throughput desc').textContent()}`);
}

test('it draws what the server publishes and delivers, and nothing jumps', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, '/');
  await publish(server, 'job:1', { name: 'One', progress: 0.1 });
  await page.getByText('10%').waitFor();
  const top = async (): Promise<number> => (await page.locator('#running-section').boundingBox())!.y;
  const before = await top();
  // The first request may have been answered before that publication.
  await says(page, /^Publications: 0\/s now, [\d.]+\/s at most\. Deliveries: /);
  for (let n = 2; n < 60; n += 1) {
    await publish(server, 'job:1', { name: 'One', progress: n / 100 });
    await publish(server, 'elsewhere', n);
  }
  await says(
    page,
    /^Publications: .+, [1-9][\d.]*\/s at most\. Deliveries: .+, (?!0\/s)[\d.]+\/s at most\.$/,
  );
  const chart = page.getByRole('img', { name: 'Throughput of the server' });
  assert.match((await chart.locator('.line.first').getAttribute('d')) ?? '', /^M[\d.]+ 100L/);
  assert.equal(await top(), before);
  assert.deepEqual(problems, []);
});

test('whoever may not look inside sees the publications of what they follow', LIMIT, async (t) => {
  const { server, page } = await setUp(t, '/', async (page) => {
    await page.route('**/debug?*', (route) =>
      route.continue({ headers: { ...route.request().headers(), 'x-forwarded-for': '192.0.2.7' } }),
    );
  });
  await page.clock.runFor(1_500);
  await page.getByRole('img', { name: 'Throughput of these topics' }).waitFor();
  await publish(server, 'job:1', { name: 'One', progress: 0.1 });
  await page.getByText('10%').waitFor();
  await says(page, /^Publications: 0\/s now/);
  for (let n = 2; n <= 21; n += 1) {
    await publish(server, 'job:1', { name: 'One', progress: n / 100 });
    await publish(server, 'elsewhere', n);
  }
  await page.getByText('21%').waitFor();
  const said = await says(page, /^Publications: .+, (?!0\/s)[\d.]+\/s at most\.$/);
  const most = Number(/, ([\d.]+)\/s at most/.exec(said)?.[1]);
  assert.ok(most <= 10, `${most} a second are twenty in two seconds at most: others do not count`);
});

test('of one piece of work it is the speed of that', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, '/?topic=task:7:progress');
  const told = { target: 500, active: 3, per_hour: 15 };
  await publish(server, 'task:7:progress', { ...told, done: 40 });
  await page.getByText('40 / 500 done (8%), 3 active').waitFor();
  await page.getByRole('img', { name: 'Speed of the work' }).waitFor();
  await says(page, /^Done: 0\/minute now/);
  await publish(server, 'task:7:progress', { ...told, done: 47 });
  await page.getByText('47 / 500 done (9.4%), 3 active').waitFor();
  const said = await says(page, /^Done: .+, (?!0\/minute)[\d.]+\/minute at most\.$/);
  const most = Number(/, ([\d.]+)\/minute at most/.exec(said)?.[1]);
  assert.ok(most >= 42 && most <= 84, `${most}: seven within one stretch of five seconds, or two`);
  assert.deepEqual(problems, []);
});
