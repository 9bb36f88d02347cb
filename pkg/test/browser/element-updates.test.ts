/** How `<tide-progress>` shows updates with few members. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { freeAddress } from '../support/ports.js';
import { packageRoot, publish, startServer, startServerAt } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const HTML = `<!doctype html><title>test</title><link rel="icon" href="data:,">
<style>body { font: 16px/1.5 system-ui; max-width: 34rem; margin: 2rem; display: grid; gap: 1.5rem; }</style>
<script type="module" src="./element.js"></script>
<body><tide-progress topic="job:told"></tide-progress><tide-progress topic="job:measured"></tide-progress></body>`;

test('a bar shows the updates that it is given, with no subscription of its own', LIMIT, async (t) => {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = complaints(page);
  const html = HTML.replace(/<body>.*/, '<body><tide-progress></tide-progress>');
  await placePackage(page, `${server}/page`, { 'index.html': html });
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.goto(`${server}/page/index.html`);
  const give = (topic: string, data: object, end?: string) =>
    page.evaluate((update) => Object.assign(document.querySelector('tide-progress')!, { update }), {
      topic,
      data,
      epoch: 1,
      offset: 1,
      ...(end && { end }),
    });
  const part = (name: string) => page.locator(`tide-progress [part="${name}"]`);
  await give('job:1', { done: 1, total: 4 });
  await part('percent').filter({ hasText: '25%' }).waitFor();
  assert.equal(await part('label').textContent(), '1');
  await give('job:1', { done: 4, total: 4 }, 'complete');
  await part('state').filter({ hasText: 'Complete' }).waitFor();
  await give('job:2', { done: 1, total: 2 });
  await part('state').filter({ hasText: 'Running' }).waitFor();
  assert.equal(await part('label').textContent(), '2');
  assert.deepEqual([sockets, problems], [[], []]);
});

test('a bar that is given updates counts down no more once it is out of the page', LIMIT, async (t) => {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const html = HTML.replace(/<body>.*/, '<body><tide-progress></tide-progress>');
  await placePackage(page, `${server}/page`, { 'index.html': html });
  await page.addInitScript(() => {
    const running = new Set<unknown>();
    const [begin, end] = [setInterval, clearInterval];
    Object.assign(globalThis, {
      running,
      setInterval: (...given: Parameters<typeof begin>) => {
        const id = begin(...given);
        running.add(id);
        return id;
      },
      clearInterval: (id: number) => {
        running.delete(id);
        end(id);
      },
    });
  });
  await page.goto(`${server}/page/index.html`);
  await page.locator('tide-progress[state="waiting"]').waitFor();
  const bar = page.getByRole('progressbar');
  assert.equal(await bar.getAttribute('aria-label'), 'Waiting', 'a bar has a name');
  const running = (): Promise<number> => page.evaluate<number>('running.size');
  await page.evaluate(() => {
    const bar = document.querySelector('tide-progress')!;
    bar.update = { topic: 'job:1', data: { progress: 0.5 }, epoch: 1, offset: 1 };
  });
  assert.equal(await bar.getAttribute('aria-label'), '1');
  assert.equal(await running(), 1);
  await page.evaluate(() => {
    const bar = document.querySelector('tide-progress')!;
    bar.remove();
    Object.assign(globalThis, { bar });
  });
  assert.equal(await running(), 0);
  await page.evaluate('document.body.append(bar)');
  assert.equal(await running(), 1, 'it counts on where it is put back');
});

test('in a narrow column the name has a line of its own', LIMIT, async (t) => {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 320, height: 480 } });
  const bars = [6, 9, 14, 24].map(
    (width) =>
      `<tide-progress style="width: ${width}rem" label="Nightly import of all customers"></tide-progress>`,
  );
  await placePackage(page, `${server}/page`, {
    'index.html': HTML.replace(/<body>.*/, `<body>${bars.join('')}`),
  });
  await page.goto(`${server}/page/index.html`);
  await page.locator('tide-progress[state="waiting"]').first().waitFor();
  await page.evaluate(() => {
    for (const bar of document.querySelectorAll('tide-progress')) {
      bar.update = {
        topic: 'job:1',
        data: { done: 12_345, total: 23_456, unit: 'customers', rate: 12, message: 'Ann' },
        epoch: 1,
        offset: 1,
      };
    }
  });
  const labels = page.locator('tide-progress [part=label]');
  const widths = await labels.evaluateAll((all) => all.map((label) => label.clientWidth));
  assert.ok(
    widths.every((width) => width >= 6 * 16),
    `names are ${widths} pixels wide`,
  );
  await mkdir(join(packageRoot, 'test-results'), { recursive: true });
  await page.screenshot({ path: join(packageRoot, 'test-results', 'element-columns.png') });
});

test('a bar that is given updates tells when the connection is lost that they came by', LIMIT, async (t) => {
  const server = await startServerAt(t, await freeAddress());
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const html = HTML.replace(/<body>.*/, '<body><tide-progress></tide-progress>');
  await placePackage(page, `${server.url}/page`, { 'index.html': html });
  await page.goto(`${server.url}/page/index.html`);
  await page.evaluate(async () => {
    const entry = new URL('./index.js', location.href).href;
    const { connect } = (await import(entry)) as typeof import('tidegate');
    const tide = connect('/');
    const bar = document.querySelector('tide-progress')!;
    bar.update = { topic: 'job:1', data: { progress: 0.5 }, epoch: 1, offset: 1 };
    bar.tide = tide;
    tide.subscribe('job:*', (update) => Object.assign(bar, { update }));
    Object.assign(globalThis, { tide });
  });
  const state = (name: string) => page.locator(`tide-progress[state="${name}"]`).waitFor();
  await page.waitForFunction(`tide.state.status === 'connected'`);
  await state('running');
  await page.getByText('50%').waitFor();
  await server.kill();
  await state('stale');
  await page.getByText('50%').waitFor();
  const again = await startServerAt(t, new URL(server.url).host);
  await publish(again.url, 'job:1', { progress: 0.75 });
  await page.getByText('75%').waitFor();
  await state('running');
  await page.evaluate(`tide.close()`);
  await state('error');
});

test('speed and time left are there for who tells when it began, and for who does not', LIMIT, async (t) => {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 620, height: 240 } });
  const problems = complaints(page);
  await placePackage(page, `${server}/page`, { 'index.html': HTML });
  await page.goto(`${server}/page/index.html`);
  const job = { total: 900, unit: 'rows', started_at: Date.now() - 10_000 };
  const part = (topic: string, name: string) =>
    page.locator(`tide-progress[topic="${topic}"] [part="${name}"]`);

  await publish(server, 'job:told', { ...job, done: 53 });
  await part('job:told', 'rate')
    .filter({ hasText: /^[\d.]+ rows\/s$/ })
    .waitFor();
  await part('job:told', 'time')
    .filter({ hasText: /^\dm \d\ds left$/ })
    .waitFor();

  const { started_at: _, ...silent } = job;
  for (let done = 50; (await part('job:measured', 'rate').textContent()) === ''; done += 1) {
    await publish(server, 'job:measured', { ...silent, done });
    await part('job:measured', 'amount')
      .filter({ hasText: `${done} / 900 rows` })
      .waitFor();
  }
  assert.match((await part('job:measured', 'rate').textContent()) ?? '', /^[\d.]+ rows\/s$/);
  await part('job:measured', 'time')
    .filter({ hasText: / left$/ })
    .waitFor();
  await mkdir(join(packageRoot, 'test-results'), { recursive: true });
  await page.screenshot({ path: join(packageRoot, 'test-results', 'element-updates.png') });
  assert.deepEqual(problems, []);
});
