/**
 * The package as npm would publish it, in bundlers and other environments: each shows publications of a real server in
 * a real browser.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';

import { build as esbuild } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import * as vite from 'vite';
import webpack from 'webpack';

import { complaints, startBrowser } from '../support/browser.js';
import { startFront } from '../support/front.js';
import { installPacked } from '../support/packed.js';
import { publish, startServer } from '../support/server.js';
import { countsOf } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 180_000 };

/** No more than the package asks for: no inline script or style, no `eval`, nothing from elsewhere. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:";

interface Places {
  readonly folder: string;
  readonly server: string;
  readonly browser: Browser;
}

/** What a page must show, and how it must share its connection with another one. */
interface Shown {
  /** Elements that show the message of `job:1`, by their ids. One of a dedicated worker has a connection of its own. */
  readonly ids: readonly string[];
  readonly hasElement?: boolean;
  readonly way: 'worker' | 'leader';
}

/** Checks that a second page shares the connection of the first. */
async function shares({ browser, server }: Places, page: Page, { ids, way }: Shown): Promise<void> {
  const { connections } = await countsOf(server);
  const second = await page.context().newPage();
  await second.goto(page.url());
  for (const id of ids) {
    await second.locator(`#${id}`).filter({ hasText: page.url() }).waitFor();
  }
  const after = await countsOf(server);
  assert.equal(after.connections, connections + Number(ids.includes('worker')));
  const targets = await (await browser.newBrowserCDPSession()).send('Target.getTargets');
  const hasWorker = targets.targetInfos.some(({ type }) => type === 'shared_worker');
  assert.equal(hasWorker, way === 'worker');
  await second.close();
}

/** Opens a page that shows the message of `job:1`, and checks the retained one and a new one. */
async function shows(places: Places, url: string, shown: Shown): Promise<void> {
  const { browser, server } = places;
  const { ids, hasElement = false } = shown;
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = complaints(page);
  for (const message of ['what was there', 'what came']) {
    await publish(server, 'job:1', { progress: 0.5, message: `${message} for ${url}` });
    if (page.url() === 'about:blank') {
      await page.goto(url);
    }
    for (const id of ids) {
      await page
        .locator(`#${id}`)
        .filter({ hasText: `${message} for ${url}` })
        .waitFor();
    }
    if (hasElement) {
      await page.locator('tide-progress[state=running]').getByText(`${message} for ${url}`).waitFor();
    }
  }
  await shares(places, page, shown);
  assert.deepEqual(problems, []);
  await context.close();
}

async function withVite(t: TestContext, places: Places): Promise<void> {
  const root = join(places.folder, 'vite');
  const common = { root, configFile: false, logLevel: 'warn', clearScreen: false } as const;
  const proxy = { '/ws': { target: places.server, ws: true } };
  await t.test('Vite, developing', async (inner) => {
    const server = await vite.createServer({
      ...common,
      server: { host: '127.0.0.1', port: 0, proxy },
      cacheDir: join(places.folder, 'vite-cache'),
    });
    inner.after(() => server.close());
    await server.listen();
    await shows(places, server.resolvedUrls!.local[0]!, {
      ids: ['page', 'worker', 'react'],
      hasElement: true,
      way: 'worker',
    });
  });
  await t.test('Vite, built', async (inner) => {
    await vite.build({ ...common, worker: { format: 'es' } });
    const front = await startFront(inner, join(root, 'dist'), places.server);
    await shows(places, `${front}/`, { ids: ['page', 'worker', 'react'], hasElement: true, way: 'worker' });
  });
}

async function withWebpack(t: TestContext, places: Places): Promise<void> {
  await t.test('webpack', async (inner) => {
    const root = join(places.folder, 'webpack');
    const compiler = webpack({
      context: root,
      entry: './main.js',
      mode: 'production',
      output: { path: join(root, 'dist') },
      performance: false,
    })!;
    const stats = (await promisify(compiler.run.bind(compiler))())!;
    assert.equal(stats.hasErrors() || stats.hasWarnings(), false, stats.toString());
    const front = await startFront(inner, root, places.server);
    await shows(places, `${front}/`, { ids: ['page', 'worker'], hasElement: true, way: 'worker' });
  });
}

async function withEsbuild(t: TestContext, places: Places): Promise<void> {
  await t.test('esbuild, with the file and inline', async (inner) => {
    const root = join(places.folder, 'esbuild');
    await esbuild({
      absWorkingDir: root,
      entryPoints: ['main.js', 'inline.js'],
      outdir: 'dist',
      bundle: true,
      minify: true,
      format: 'esm',
      loader: { '.wasm': 'file' },
      logLevel: 'warning',
    });
    const front = await startFront(inner, root, places.server);
    await shows(places, `${front}/`, { ids: ['page', 'inline'], way: 'leader' });
  });
}

async function withoutBundler(t: TestContext, places: Places): Promise<void> {
  await t.test('no bundler: modules from a static server, in the page and in a worker', async (inner) => {
    const front = await startFront(inner, places.folder, places.server);
    await shows(places, `${front}/static/`, { ids: ['page', 'worker'], hasElement: true, way: 'worker' });
  });
  await t.test('a page with a strict Content-Security-Policy', async (inner) => {
    const headers = { 'content-security-policy': POLICY };
    const front = await startFront(inner, places.folder, places.server, headers);
    await shows(places, `${front}/csp/`, { ids: ['page'], hasElement: true, way: 'worker' });
    await shows(places, `${front}/csp/inline.html`, { ids: ['page'], way: 'leader' });
  });
}

async function withNode(t: TestContext, { folder, server }: Places): Promise<void> {
  await t.test('Node, with the package ws beside it', async () => {
    await publish(server, 'job:1', { message: 'from here' });
    const child = spawn(process.execPath, ['main.mjs', server], {
      cwd: join(folder, 'node'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout) {
      output += text;
      if (output === 'from here\n') {
        await publish(server, 'job:1', { message: 'to there' }, { end: 'complete' });
      }
    }
    const code = child.exitCode ?? (await once(child, 'exit'))[0];
    assert.deepEqual([output, code], ['from here\nto there\n', 0]);
  });
}

test('the package works wherever it is installed', LIMIT, async (t) => {
  const folder = await installPacked(t);
  const server = await startServer(t);
  const places = { folder, server, browser: await startBrowser(t) };
  await withVite(t, places);
  await withWebpack(t, places);
  await withEsbuild(t, places);
  await withoutBundler(t, places);
  await withNode(t, places);
});
