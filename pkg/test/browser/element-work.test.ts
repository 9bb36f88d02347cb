/** `<tide-progress>` of work that many do together, in several languages, in a real browser, with a real server. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { packageRoot, publish, startServer } from '../support/server.js';
import { TOLD } from '../support/work.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const results = join(packageRoot, 'test-results');

const HTML = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>test</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 2rem; display: grid; gap: 1.5rem; max-width: 40rem; }
</style>
<script type="module" src="./element.js"></script>
<tide-progress id="english" label="Reviews" topic="task:7:progress" unit="label|labels" verb="labeled" worker="labeler|labelers"></tide-progress>
<div lang="de">
  <tide-progress id="german" label="Rezensionen" topic="task:7:progress" unit="Etikett|Etiketten" verb="etikettiert" worker="Person|Personen"></tide-progress>
</div>
<tide-progress id="arabic" lang="ar-EG" dir="rtl" label="المراجعات" topic="task:7:progress"></tide-progress>
<tide-progress id="open" label="No end in sight" topic="task:8:progress" unit="call|calls" verb="answered"></tide-progress>
</html>`;

const reads = (page: Page, id: string): Promise<string> =>
  page.locator(`#${id}`).evaluate((element) => {
    const parts = ['state', 'percent', 'amount', 'active', 'rate', 'time'];
    const texts = parts.map((name) => element.shadowRoot!.querySelector(`.${name}`)!.textContent ?? '');
    return texts.join(' · ').replace(/[\u00a0\u202f]/g, ' ');
  });

test(
  'it says how far work has come, in the language of its place, and tells those who listen',
  LIMIT,
  async (t) => {
    const server = await startServer(t);
    await publish(server, 'task:7:progress', TOLD);
    const { target: _, remaining: __, eta_ms: ___, ...open } = TOLD;
    await publish(server, 'task:8:progress', { ...open, done: 12_047, active: 1 });
    const browser = await startBrowser(t);
    await mkdir(results, { recursive: true });
    for (const [name, options] of [
      ['light', { colorScheme: 'light' }],
      ['dark', { colorScheme: 'dark' }],
      ['narrow', { colorScheme: 'light', viewport: { width: 300, height: 780 } }],
    ] as const) {
      const page = await browser.newPage({ viewport: { width: 740, height: 480 }, ...options });
      const problems = complaints(page);
      await placePackage(page, `${server}/page`, { 'index.html': HTML });
      await page.goto(`${server}/page/index.html`);
      await page.waitForFunction(() => document.querySelectorAll('[state=running]').length === 4);
      const english =
        '47 / 500 labeled (9.4%) · 3 active labelers · ~15 labels/hour · in 30 hours (24–41 hours)';
      assert.equal(await reads(page, 'english'), `Running ·  · ${english}`);
      assert.match(
        await reads(page, 'german'),
        /47 \/ 500 etikettiert \(9,4 %\) · 3 active Personen · ~15 Etiketten\/Stunde · in 30 Stunden \(24–41 Stunden\)/,
      );
      assert.match(await reads(page, 'arabic'), /٤٧ \/ ٥٠٠/);
      assert.equal(await reads(page, 'open'), 'Running ·  · 12,047 answered · 1 active · ~15 calls/hour · ');
      const bar = page.locator('#english').getByRole('progressbar');
      assert.equal(await bar.getAttribute('aria-valuenow'), '9');
      assert.equal(await bar.getAttribute('aria-valuetext'), '47 / 500 labeled (9.4%), 3 active labelers');
      assert.equal(await bar.getAttribute('aria-label'), 'Reviews');
      const measured = page.locator('#open').getByRole('progressbar');
      assert.equal(await measured.getAttribute('aria-valuenow'), null, 'nobody knows of how much');
      const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(width <= 0, 'nothing sticks out to the side');
      assert.deepEqual(problems, []);
      await page.screenshot({ path: join(results, `element-work-${name}.png`) });
      await page.close();
    }
  },
);

test('it follows its language and its nouns, and says when the work is over', LIMIT, async (t) => {
  const server = await startServer(t);
  await publish(server, 'task:7:progress', TOLD);
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = complaints(page);
  await placePackage(page, `${server}/page`, { 'index.html': HTML });
  await page.goto(`${server}/page/index.html`);
  const english = page.locator('#english');
  await english.getByText('3 active labelers').waitFor();
  await english.evaluate((element: HTMLElement) => {
    element.lang = 'fr';
    element.setAttribute('worker', 'annotateur|annotateurs');
  });
  await english.getByText('3 active annotateurs').waitFor();
  await english.getByText('dans 30 heures (24–41 heures)').waitFor();
  await english.evaluate((element: HTMLElement) => {
    element.lang = 'en';
  });
  const over = { ...TOLD, done: 500, remaining: 0, active: 0, started_ms: 1_000, ended_ms: 3_723_000 };
  await publish(server, 'task:7:progress', over, { end: 'complete' });
  await page.locator('#english[state=complete]').waitFor();
  assert.equal(await reads(page, 'english'), 'Complete ·  · 500 / 500 labeled (100%) ·  ·  · 1h 02m');
  const bar = english.getByRole('progressbar');
  assert.equal(await bar.getAttribute('aria-valuetext'), '500 / 500 labeled (100%), Complete');
  assert.deepEqual(problems, []);
});

test(
  'it speaks the language of its page, also later and from inside of another element',
  LIMIT,
  async (t) => {
    const server = await startServer(t);
    await publish(server, 'task:7:progress', TOLD);
    const page = await (await startBrowser(t)).newPage();
    const problems = complaints(page);
    await placePackage(page, `${server}/page`, { 'index.html': HTML });
    await page.goto(`${server}/page/index.html`);
    await page.locator('#english').getByText('47 / 500 labeled (9.4%)').waitFor();
    await page.evaluate(() => {
      document.documentElement.lang = 'fr';
      const outer = document.createElement('section');
      outer.lang = 'de';
      const inner = outer.attachShadow({ mode: 'open' }).appendChild(document.createElement('div'));
      inner.attachShadow({ mode: 'open' }).innerHTML =
        '<tide-progress id="inside" topic="task:7:progress"></tide-progress>';
      document.body.append(outer);
    });
    await page.locator('#english').getByText('47 / 500 labeled (9,4 %)').waitFor();
    await page.locator('#english').getByText('dans 30 heures').waitFor();
    await page.locator('#inside').getByText('in 30 Stunden').waitFor();
    await page.evaluate(() => {
      const english = document.getElementById('english')!;
      english.remove();
      document.documentElement.lang = 'de';
      document.body.append(english);
    });
    await page.locator('#english').getByText('in 30 Stunden').waitFor();
    assert.deepEqual(problems, []);
  },
);
