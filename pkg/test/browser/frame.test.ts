/** Pacing by the frames that a real browser draws. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { bundleApp } from '../support/bundle.js';
import { startFront } from '../support/front.js';
import { startRawBrowser } from '../support/raw-tabs.js';
import { packageRoot, publish, startServer } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

type App = typeof import('../apps/frame.js');
type Taken = ReturnType<App['taken']>;

const PAGE =
  '<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module">import * as app from "./app.js"; window.app = app;</script>';

interface SetUp {
  readonly server: string;
  readonly page: Page;
  readonly problems: string[];
  call<N extends keyof App>(name: N, ...args: Parameters<App[N]>): Promise<Awaited<ReturnType<App[N]>>>;
}

async function setUp(t: TestContext): Promise<SetUp> {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = complaints(page);
  const base = `${server}/app`;
  await placePackage(page, base, {
    'index.html': PAGE,
    'app.js': await bundleApp('frame.ts'),
  });
  await page.goto(`${base}/index.html`);
  await page.waitForFunction(() => 'app' in window);
  const call: SetUp['call'] = (name, ...args) =>
    page.evaluate(
      ([fn, given]) =>
        (window as unknown as { app: Record<string, (...args: unknown[]) => unknown> }).app[fn]!(...given),
      [name, args as unknown[]] as const,
    ) as never;
  return { server, page, problems, call };
}

test(
  'a thousand publications in a second are at most one update per frame, and the last does not wait',
  LIMIT,
  async (t) => {
    const { page, problems, call } = await setUp(t);
    const frames = await call('burst', 1_000);
    assert.equal(await call('end'), true, 'what was pending and the terminal came at once');
    const { delivered } = await call('taken');
    const [pending, terminal] = delivered.splice(-2);
    assert.deepEqual([pending?.n, terminal?.n, terminal?.end], [-1, -2, 'complete']);
    const perFrame = new Map<number, number>();
    for (const { frame } of delivered) {
      perFrame.set(frame, (perFrame.get(frame) ?? 0) + 1);
    }
    assert.equal(Math.max(...perFrame.values()), 1, 'no frame had two updates');
    t.diagnostic(`1000 publications, ${frames} frames, ${delivered.length} updates`);
    assert.ok(delivered.length >= frames / 2, 'most frames had one');
    assert.deepEqual(
      delivered.map(({ n }) => n),
      delivered.map(({ n }) => n).toSorted((one, other) => one - other),
    );
    assert.deepEqual(problems, []);
    await page.close();
  },
);

/** Calls `read` until `isDone` accepts its result; returns how long that took, in milliseconds. */
async function until<T>(read: () => Promise<T>, isDone: (read: T) => boolean): Promise<number> {
  const began = performance.now();
  while (!isDone(await read())) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - began;
}

test(
  'a hidden page, which draws no frames, is kept up to date by a timer, and told of the end at once',
  LIMIT,
  async (t) => {
    const server = await startServer(t);
    const folder = await mkdtemp(join(tmpdir(), 'tidegate-frame-'));
    t.after(() => rm(folder, { recursive: true }));
    await symlink(join(packageRoot, 'dist/wasm'), join(folder, 'wasm'));
    await writeFile(join(folder, 'app.js'), await bundleApp('frame.ts'));
    await writeFile(join(folder, 'index.html'), PAGE);
    await writeFile(join(folder, 'other.html'), '<!doctype html><title>another tab</title>');
    const front = await startFront(t, folder, server);
    const browser = await startRawBrowser(t);
    const tab = await browser.open(`${front}/index.html`);
    await until(
      () => tab.evaluate<boolean>("'app' in window"),
      (isThere) => isThere,
    );
    await tab.evaluate(`app.follow('${front}', 'job:1')`);
    const all: Taken['delivered'] = [];
    let frame = 0;
    const newest = async (): Promise<number> => {
      const taken = await tab.evaluate<Taken>('app.taken()');
      all.push(...taken.delivered);
      frame = taken.frame;
      return all.at(-1)?.n ?? 0;
    };
    await publish(server, 'job:1', { n: 1 });
    await until(newest, (n) => n === 1);

    const other = await browser.open(`${front}/other.html`);
    await other.show();
    await until(
      () => tab.evaluate<string>('document.visibilityState'),
      (state) => state === 'hidden',
    );
    await newest();
    const [framesBefore, updatesBefore] = [frame, all.length];
    for (let n = 2; n <= 100; n += 1) {
      await publish(server, 'job:1', { n });
    }
    const lastMs = await until(newest, (n) => n === 100);
    assert.ok(frame - framesBefore <= 1, `${frame - framesBefore} frames were drawn`);
    const updates = all.length - updatesBefore;
    await publish(server, 'job:1', { n: 101 });
    await publish(server, 'job:1', { n: 102 }, { end: 'complete' });
    const endMs = await until(newest, (n) => n === 102);
    t.diagnostic(
      `hidden: ${updates} updates, the last after ${lastMs.toFixed()} ms; the end after ${endMs.toFixed()} ms`,
    );
    assert.equal(all.at(-1)?.end, 'complete');
    assert.equal(all.at(-2)?.n, 101, 'what was pending went before it');
  },
);

test('a server that publishes fast is followed by frames, and to the end', LIMIT, async (t) => {
  const { server, page, problems, call } = await setUp(t);
  await call('follow', server, 'job:1');
  for (let n = 1; n <= 200; n += 1) {
    await publish(server, 'job:1', { n });
  }
  await publish(server, 'job:1', { n: 201 }, { end: 'complete' });
  const all: Taken['delivered'] = [];
  while (all.at(-1)?.end === undefined) {
    all.push(...(await call('taken')).delivered);
  }
  assert.equal(all.at(-1)?.n, 201);
  const frames = all.slice(0, -2).map(({ frame }) => frame);
  assert.equal(new Set(frames).size, frames.length, 'no frame had two updates');
  assert.deepEqual(problems, []);
  await page.close();
});
