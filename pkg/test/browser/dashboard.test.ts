/** The dashboard in a real browser, with a real server and real jobs. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { complaints, startBrowser } from '../support/browser.js';
import { freeAddress } from '../support/ports.js';
import { packageRoot, publish, startServer, startServerAt, tidegate } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const results = join(packageRoot, 'test-results');

/** Records the values of the one running job's bar. */
const noteBar = `{
  const seen = [];
  new MutationObserver(() => {
    const now = document.querySelector('#running [role=progressbar]')?.getAttribute('aria-valuenow');
    if (now !== null && now !== undefined) seen.push(Number(now));
  }).observe(document.body, { subtree: true, childList: true, attributeFilter: ['aria-valuenow'] });
  Object.assign(globalThis, { seen });
}`;

test('a real job is watched from its first progress to its end', LIMIT, async (t) => {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 1100, height: 760 } });
  const problems = complaints(page);
  await page.goto(server);
  await page.getByText('Nothing is running yet').waitFor();
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();

  // Many steps; after every tenth, the job waits until the page has shown it.
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-job-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const script =
    'for n in $(seq 1 40); do echo "$n/40 file-$n"; ' +
    'while [ $((n % 10)) = 0 ] && [ ! -e "$0/$n" ]; do sleep 0.05; done; done';
  await page.evaluate(noteBar);
  tidegate(t, ['run', '--server', server, '--job', 'forty', '--', 'sh', '-c', script, folder]);
  for (const step of [10, 20, 30, 40]) {
    await page.locator(`#running [role=progressbar][aria-valuenow="${step * 2.5}"]`).waitFor();
    await writeFile(join(folder, String(step)), '');
  }
  const finished = page.locator('#finished li');
  await finished.waitFor();
  const values = await page.evaluate<number[]>('seen');
  assert.deepEqual(
    values,
    values.toSorted((a, b) => a - b),
    'the bar only moves on',
  );
  assert.equal(values.at(-1), 100);
  assert.equal(await finished.locator('.state').textContent(), 'Complete');
  assert.match((await page.locator('#announcer').textContent()) ?? '', /is complete/);
  assert.equal(await page.locator('#count-COMPLETE').textContent(), '1');
  assert.deepEqual(problems, []);
  await mkdir(results, { recursive: true });
  await page.screenshot({ path: join(results, 'dashboard-complete.png') });
});

test(
  'running, failed and cancelled jobs are told apart, on a phone and in the dark, too',
  LIMIT,
  async (t) => {
    const server = await startServer(t);
    await publish(server, 'job:hash', {
      name: 'Hash the registry',
      status: 'RUNNING',
      done: 12_483,
      total: 33_721,
      unit: 'files',
      rate: 1_204,
      elapsed_ms: 10_364,
      message: 'serde/src/lib.rs',
    });
    await publish(server, 'job:lock', {
      name: 'Migrate the schema',
      elapsed_ms: 3_000,
      message: 'waiting for a lock',
    });
    await publish(server, 'job:odd', ['not', 'a', 'job']);
    await publish(server, 'job:stop', {
      name: 'Export',
      status: 'CANCELLED',
      progress: 0.4,
      elapsed_ms: 900,
    });
    tidegate(t, ['run', '--server', server, '--job', 'broken', '--', 'sh', '-c', 'echo 30%; exit 3']);

    const browser = await startBrowser(t);
    await mkdir(results, { recursive: true });
    for (const [name, options] of [
      ['light', { viewport: { width: 1100, height: 760 }, colorScheme: 'light' }],
      ['dark', { viewport: { width: 1100, height: 760 }, colorScheme: 'dark' }],
      ['phone', { viewport: { width: 390, height: 844 }, colorScheme: 'light', isMobile: true }],
    ] as const) {
      const page = await browser.newPage(options);
      const problems = complaints(page);
      await page.goto(server);
      await page.locator('#finished li[data-status=FAILED]').waitFor();
      await page.locator('#finished li[data-status=CANCELLED]').waitFor();
      const hash = page.locator('#running li').filter({ hasText: 'Hash the registry' });
      await hash.waitFor();
      assert.equal(await hash.getByRole('progressbar').getAttribute('aria-valuenow'), '37');
      assert.match(
        (await hash.textContent()) ?? '',
        /12,483 \/ 33,721 files[\s\S]*1\.2K files\/s[\s\S]*1\d ?s left/,
      );
      const lock = page.locator('#running li').filter({ hasText: 'Migrate' });
      assert.equal(await lock.getByRole('progressbar').getAttribute('aria-valuenow'), null);
      const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(width <= 0, 'nothing sticks out to the side');
      assert.deepEqual(problems, []);
      await page.screenshot({ path: join(results, `dashboard-${name}.png`) });
      await page.close();
    }
  },
);

test('names and failures can be read on a phone, and bars be seen in forced colours', LIMIT, async (t) => {
  const server = await startServer(t);
  const name = 'Import of all that there is';
  const message = `broke: something long happened here that nobody expected, ${'x'.repeat(80)}`;
  await publish(server, 'job:1', { name, message }, { end: 'failed' });
  await publish(server, 'job:2', { name: `${name} once again` }, { end: 'complete' });
  await publish(server, 'job:3', { name: `${name} for the third time` });
  const browser = await startBrowser(t);
  await mkdir(results, { recursive: true });
  for (const [width, forcedColors] of [
    [390, 'none'],
    [1200, 'active'],
  ] as const) {
    const page = await browser.newPage({ viewport: { width, height: 844 }, forcedColors });
    await page.goto(server);
    await page.locator('#finished li').nth(1).waitFor();
    await page.locator('#running li').waitFor();
    const cut = await page
      .locator('.name, .message')
      .evaluateAll((texts) =>
        texts
          .filter((text) => text.scrollWidth > text.clientWidth || text.scrollHeight > text.clientHeight)
          .map((text) => text.textContent),
      );
    assert.deepEqual(cut, []);
    if (forcedColors === 'active') {
      const track = page.locator('#running .bar');
      assert.notEqual(await track.evaluate((bar) => getComputedStyle(bar).borderTopWidth), '0px');
      const marks = await page
        .locator('#throughput .key')
        .evaluateAll((keys) => keys.map((key) => getComputedStyle(key, '::before').backgroundColor));
      const lines = await page
        .locator('#throughput .line')
        .evaluateAll((drawn) => drawn.map((line) => getComputedStyle(line).stroke));
      assert.deepEqual(marks, lines);
      assert.notEqual(marks[0], marks[1]);
    }
    await page.screenshot({ path: join(results, `dashboard-read-${width}.png`) });
    await page.close();
  }
});

test('what ended last comes first, also on a page that is opened afterwards', LIMIT, async (t) => {
  const server = await startServer(t);
  const end = (name: string, startedAt: number, elapsedMs: number): Promise<void> =>
    publish(server, `job:${name}`, {
      name,
      status: 'COMPLETE',
      started_at: startedAt,
      elapsed_ms: elapsedMs,
    });
  const start = 1_700_000_000_000;
  await end('second', start, 60_000);
  await end('last', start + 10_000, 10_000);
  await end('first', start + 20_000, 59_000);
  await end('third', start + 30_000, 20_000);
  const page = await (await startBrowser(t)).newPage();
  await page.goto(server);
  const names = page.locator('#finished .name');
  await names.nth(3).waitFor();
  assert.deepEqual(await names.allTextContents(), ['first', 'second', 'third', 'last']);

  await publish(server, 'job:now', { name: 'now', status: 'RUNNING' });
  await page.locator('#running .name').waitFor();
  await end('now', start, 1);
  await names.nth(4).waitFor();
  assert.deepEqual(await names.allTextContents(), ['now', 'first', 'second', 'third', 'last']);
});

test('a page that loses its server says so, and goes on with the next one', LIMIT, async (t) => {
  const server = await startServerAt(t, await freeAddress());
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  await page.goto(server.url);
  await publish(server.url, 'job:1', { name: 'One', progress: 0.2 });
  await page.getByText('20%').waitFor();
  await publish(server.url, 'job:2', { name: 'Two' }, { end: 'complete' });
  await page.locator('#finished li').waitFor();
  await server.kill();
  await page
    .getByRole('status')
    .filter({ hasText: /connecting/i })
    .waitFor();
  assert.equal(await page.locator('#running li').count(), 1, 'what is known stays on the page');
  await startServerAt(t, new URL(server.url).host);
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
  // The new server has an empty memory: the page must not show the old job as running forever.
  await page.locator('#running li').waitFor({ state: 'detached' });
  assert.equal(await page.locator('#count-RUNNING').textContent(), '0');
  assert.equal(await page.locator('#finished li').count(), 1, 'what has ended stays');
  await publish(server.url, 'job:1', { name: 'One', progress: 0.6 });
  await page.getByText('60%').waitFor();
});

test('at four times its size the page is as wide as the window', LIMIT, async (t) => {
  const server = await startServer(t);
  const page = await (await startBrowser(t)).newPage({ viewport: { width: 320, height: 640 } });
  await page.goto(server);
  await publish(server, 'job:1', { name: 'Nightly import', done: 12_345, total: 23_456, unit: 'customers' });
  await page.getByText('52%').waitFor();
  const overflow = (): Promise<number> => page.evaluate('document.documentElement.scrollWidth - innerWidth');
  assert.equal(await overflow(), 0);
  await page.evaluate(() => {
    // As long as a server's message when it refuses.
    const text = 'this token may not subscribe to job:**; ask whoever issued it';
    document.getElementById('connection-text')!.textContent = text;
    document.getElementById('forget-token')!.hidden = false;
  });
  assert.equal(await overflow(), 0);
  await mkdir(results, { recursive: true });
  await page.screenshot({ path: join(results, 'dashboard-zoomed.png') });
});

test('names and messages are shown in the direction of their language', LIMIT, async (t) => {
  const server = await startServer(t);
  await publish(server, 'job:ירושלים', { status: 'RUNNING', progress: 0.5, message: 'טוען קבצים (3)' });
  await publish(server, 'job:berlin', { status: 'RUNNING', progress: 0.5, message: 'loading' });
  const page = await (await startBrowser(t)).newPage();
  await page.goto(server);
  for (const [name, direction] of [
    ['ירושלים', 'rtl'],
    ['berlin', 'ltr'],
  ] as const) {
    const job = page.locator('#running li').filter({ hasText: name });
    await job.waitFor();
    for (const part of ['.name', '.message']) {
      const shown = await job.locator(part).evaluate((element) => getComputedStyle(element).direction);
      assert.equal(shown, direction, `${part} of ${name}`);
    }
  }
});
