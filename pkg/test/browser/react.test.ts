/** The React hooks in a real browser, in strict mode, with a real server. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { bundleApp } from '../support/bundle.js';
import { publish, startServer } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

type App = typeof import('../apps/react.js');

interface SetUp {
  readonly server: string;
  readonly page: Page;
  readonly problems: string[];
  show(shown: object): Promise<void>;
  noted(): Promise<ReturnType<App['noted']>>;
  reads(text: string): Promise<void>;
}

async function setUp(t: TestContext, first: object, hydrates = false, running?: string): Promise<SetUp> {
  const server = running ?? (await startServer(t));
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = complaints(page);
  const base = `${server}/app`;
  await placePackage(page, base, {
    'index.html':
      '<!doctype html><title>test</title><link rel="icon" href="data:,"><div id="root"></div><script type="module">import * as app from "./app.js"; window.app = app;</script>',
    'app.js': await bundleApp('react.ts'),
  });
  await page.goto(`${base}/index.html`);
  await page.waitForFunction(() => 'app' in window);
  await page.evaluate(
    ([url, shown, isHydrated]) =>
      (window as unknown as { app: App }).app.start(url as string, shown as never, isHydrated as boolean),
    [server, first, hydrates] as const,
  );
  return {
    server,
    page,
    problems,
    show: (shown) =>
      page.evaluate((next) => (window as unknown as { show(next: object): void }).show(next), shown),
    noted: () => page.evaluate(() => (window as unknown as { app: App }).app.noted()),
    reads: (text) =>
      page
        .waitForFunction(
          (expected) => document.getElementById('progress')?.textContent?.trim() === expected,
          text,
          { timeout: 30_000 },
        )
        .then(() => {}),
  };
}

test(
  'strict mode subscribes once, leaving unsubscribes, and another topic takes its place',
  LIMIT,
  async (t) => {
    const { server, page, problems, show, noted, reads } = await setUp(t, { topic: 'job:1', count: 3 });
    await publish(server, 'job:1', { n: 1 });
    await reads('live 1 undefined');
    assert.equal(await page.locator('#connection').textContent(), 'connected');
    assert.deepEqual((await noted()).sent, ['hello', 'subscribe job:1']);

    await show({ topic: 'job:2', count: 1 });
    await reads('waiting undefined undefined');
    await publish(server, 'job:2', { n: 2 });
    await reads('live 2 undefined');
    await show({ topic: null, count: 1 });
    await reads('waiting undefined undefined');
    await show({ topic: 'job:2', count: 0 });
    assert.deepEqual((await noted()).sent.toSorted(), [
      'hello',
      'subscribe job:1',
      'subscribe job:2',
      'unsubscribe job:1',
      'unsubscribe job:2',
    ]);
    assert.deepEqual(problems, []);
  },
);

test(
  'a hydrated page goes from what the server rendered to what is live, and to the end',
  LIMIT,
  async (t) => {
    const { server, problems, reads, noted } = await setUp(t, { topic: 'job:1', count: 1 }, true);
    await publish(server, 'job:1', { n: 1 });
    await reads('live 1 undefined');
    await publish(server, 'job:1', { n: 9 }, { end: 'failed' });
    await reads('ended 9 failed');
    assert.deepEqual((await noted()).sent.slice(0, 2), ['hello', 'subscribe job:1']);
    assert.deepEqual(problems, []);
  },
);

test(
  'a throttled component is drawn as often as asked, ends with the last value, and keeps its snapshot',
  LIMIT,
  async (t) => {
    const { server, page, problems, noted, reads } = await setUp(t, {
      topic: 'job:1',
      throttle: 60_000,
      count: 1,
    });
    await publish(server, 'job:1', { n: 0 });
    await reads('live 0 undefined');
    const before = (await noted()).drawn;
    for (let n = 1; n <= 50; n += 1) {
      await publish(server, 'job:1', { n });
    }
    await publish(server, 'job:1', { n: 51 }, { end: 'complete' });
    await reads('ended 51 complete');
    const drawn = (await noted()).drawn - before;
    // Strict mode renders twice. The pending update comes first, and may be rendered together with the next one or not.
    assert.ok(drawn <= 6, `drawn ${drawn} times for 51 publications`);
    await page.locator('#progress').click();
    assert.equal((await noted()).sameSnapshot, true);
    assert.deepEqual(problems, []);
  },
);

test('a throttle that is none is said so, and is over with the next one', LIMIT, async (t) => {
  const { server, page, problems, show, reads } = await setUp(t, {
    topic: 'job:1',
    throttle: '2x',
    count: 1,
  });
  await page.getByText(/failed undefined undefined .*2x/).waitFor();
  await publish(server, 'job:1', { n: 1 });
  await show({ topic: 'job:1', throttle: '50ms', count: 1 });
  await reads('live 1 undefined');
  await show({ topic: 'job:1', throttle: '2x', count: 1 });
  await page.getByText(/failed 1 undefined .*2x/).waitFor();
  await show({ topic: 'job:1', throttle: '60ms', count: 1 });
  await reads('live 1 undefined');
  assert.deepEqual(problems, []);
});

test('a bad topic and a closed connection are states, and nothing is thrown', LIMIT, async (t) => {
  const { page, problems, show } = await setUp(t, { topic: 'a::b', count: 1 });
  await page.getByText(/failed undefined undefined .*a::b|failed undefined undefined .+/).waitFor();
  await show({ topic: 'job:1', count: 1 });
  await page.getByText('waiting').waitFor();
  await page.evaluate(() => (window as unknown as { app: App }).app.close());
  await page.getByText('failed undefined undefined the connection was closed').waitFor();
  assert.equal(await page.locator('#connection').textContent(), 'closed');
  assert.deepEqual(problems, []);
});

test(
  'the progress of work is told in numbers and texts, by one object until it changes',
  LIMIT,
  async (t) => {
    const topic = 'task:7:progress';
    const { server, page, problems, noted } = await setUp(t, { topic: null, count: 0, work: topic });
    const told = { done: 47, target: 500, active: 3, per_hour: 15 };
    await publish(server, topic, told);
    await page
      .getByText('live 47 47 / 500 labeled (9.4%), 3 active labelers, ~15 labels/hour undefined')
      .waitFor();
    await page.locator('#work').click();
    assert.equal((await noted()).sameWork, true, 'nouns that are written anew are the same');
    await publish(server, topic, { ...told, done: 500, active: 1 }, { end: 'complete' });
    await page.getByText(/^ended 500 500 \/ 500 labeled \(100%\), 1 active labeler, .* complete$/).waitFor();
    assert.deepEqual((await noted()).sent, ['hello', `subscribe ${topic}`]);
    assert.deepEqual(problems, []);
  },
);

test(
  'a hundred topics of one pattern are drawn together, each with its newest, and to its end',
  LIMIT,
  async (t) => {
    const first = { topic: null, count: 0, pattern: 'job:*' };
    const server = await startServer(t);
    for (let job = 1; job <= 100; job += 1) {
      await publish(server, `job:${job}`, { n: job });
    }
    const { page, problems, noted } = await setUp(t, first, true, server);
    await page.waitForFunction(() => document.querySelectorAll('#topics li').length === 100);
    // Strict mode renders twice. The retained values come in a few messages, not in a hundred.
    const { drawnTopics } = await noted();
    assert.ok(drawnTopics <= 50, `drawn ${drawnTopics} times for 100 topics`);
    await publish(server, 'job:7', { n: 1_007 }, { end: 'complete' });
    await page.getByText('job:7 ended 1007 complete').waitFor();
    assert.equal(await page.getByText(/^job:\d+ live \d+ undefined$/).count(), 99);
    assert.deepEqual((await noted()).sent, ['hello', 'subscribe job:*']);
    assert.deepEqual(problems, []);
  },
);
