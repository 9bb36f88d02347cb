/** `<tide-progress>` in React, in a real browser, with a real server. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';
import type { Shown } from '../apps/element.js';
import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { bundleApp } from '../support/bundle.js';
import { publish, startServer } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

type App = typeof import('../apps/element.js');
type Bars = readonly Shown[];

const HTML =
  '<!doctype html><html lang="en"><title>test</title><link rel="icon" href="data:,"><div id="root"></div>' +
  '<script type="module">import * as app from "./app.js"; window.app = app;</script></html>';

async function setUp(
  t: TestContext,
  first: Bars,
  hydrates: boolean,
): Promise<{ server: string; page: Page; problems: string[] }> {
  const server = await startServer(t);
  const page = await (await startBrowser(t)).newPage();
  const problems = complaints(page);
  const base = `${server}/app`;
  await placePackage(page, base, { 'index.html': HTML, 'app.js': await bundleApp('element.ts') });
  await page.goto(`${base}/index.html`);
  await page.waitForFunction(() => 'app' in window);
  await page.evaluate(
    ([bars, isHydrated]) =>
      (window as unknown as { app: App }).app.start(bars as Bars, isHydrated as boolean),
    [first, hydrates] as const,
  );
  return { server, page, problems };
}

/** The attributes of each bar. */
const attributes = (page: Page): Promise<Record<string, string>[]> =>
  page
    .locator('tide-progress')
    .evaluateAll((bars) =>
      bars.map((bar) => Object.fromEntries([...bar.attributes].map(({ name, value }) => [name, value]))),
    );

test('its properties come and go, and its event has a listener', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, [{ topic: 'job:1', label: 'One' }, {}], false);
  await publish(server, 'job:1', { name: 'First', progress: 0.3 });
  await page.getByText('30%').waitFor();
  const show = (bars: Bars): Promise<void> =>
    page.evaluate((next) => (window as unknown as { show(next: Bars): void }).show(next), bars);
  for (const label of [null, undefined]) {
    await show([{ topic: 'job:1', label, tide: null, throttle: 50, lang: 'de' }]);
    await page.getByText('First', { exact: true }).waitFor();
    assert.deepEqual(await attributes(page), [
      { class: 'bar', topic: 'job:1', state: 'running', throttle: '50', lang: 'de' },
    ]);
    await show([{ topic: 'job:1', label: 'One' }]);
    await page.getByText('One', { exact: true }).waitFor();
  }
  await show([{ topic: null }]);
  await page.locator('tide-progress:not([topic])').waitFor();
  const told = await page.evaluate(() => (window as unknown as { app: App }).app.noted());
  assert.ok(told.includes('job:1 running'), told.join());
  assert.deepEqual(problems, []);
});

test('what a server rendered is taken over without a complaint', LIMIT, async (t) => {
  const bars = [{ topic: 'job:1', label: 'One', suppressHydrationWarning: true }];
  const { server, page, problems } = await setUp(t, bars, true);
  await publish(server, 'job:1', { progress: 0.3 });
  await page.getByText('30%').waitFor();
  assert.deepEqual(await attributes(page), [
    { class: 'bar', topic: 'job:1', label: 'One', state: 'running' },
  ]);
  assert.deepEqual(problems, []);
});
