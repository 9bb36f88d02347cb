/** Other programs publish to a backend: browsers on two servers that share it show the publications. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';
import { connect } from 'tidegate';

import { type BackendServer, startPostgres, startRedis } from '../support/backends.js';
import { complaints, startBrowser } from '../support/browser.js';
import { startServerAt, tidegate } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

const TOPIC = 'job:42';

/** The bar of the one running job, at this share. */
const shown = (page: Page, share: number) =>
  page.locator(`#running [role=progressbar][aria-valuenow="${share}"]`);

/** Two servers behind a backend, with the dashboard of each in a browser. */
async function twoDashboards(t: TestContext, backend: string) {
  const servers = [];
  const browser = await startBrowser(t);
  const pages = [];
  const problems = [];
  for (let number = 0; number < 2; number += 1) {
    const { url } = await startServerAt(t, '127.0.0.1:0', backend);
    const page = await browser.newPage();
    problems.push(complaints(page));
    await page.goto(url);
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
    servers.push(url);
    pages.push(page);
  }
  return { servers, pages, problems };
}

/** A publication, with the offset that distinguishes it from others. */
interface Told {
  readonly offset: number;
  readonly progress: number | undefined;
}

/** Collects everything that a server delivers of the topic, up to its end. */
async function watchToEnd(t: TestContext, server: string) {
  const tide = connect(server);
  t.after(() => tide.close());
  const told: Told[] = [];
  for await (const { data, offset } of tide.watch<{ progress?: number }>(TOPIC)) {
    told.push({ offset, progress: data.progress });
  }
  return told;
}

/** Publishes with a program that knows nothing of Tidegate, and checks what both pages show. */
async function publishAndLook(
  t: TestContext,
  backend: BackendServer,
  publish: (data: string) => Promise<unknown>,
) {
  const { servers, pages, problems } = await twoDashboards(t, backend.url);
  await publish('{"progress":0.25}');
  for (const page of pages) {
    await shown(page, 25).waitFor();
  }
  const watching = servers.map((server) => watchToEnd(t, server));
  await publish('{"progress":0.5}');
  for (const page of pages) {
    await shown(page, 50).waitFor();
  }
  await publish('{"progress":1,"status":"COMPLETE"}');
  for (const page of pages) {
    await page.locator('#finished li').filter({ hasText: 'Complete' }).waitFor();
    assert.equal(await page.locator('#running [role=progressbar]').count(), 0);
  }
  for (const told of await Promise.all(watching)) {
    // Each publication once, in order, apart from those before the subscription was made.
    const last = [
      { offset: 1, progress: 0.25 },
      { offset: 2, progress: 0.5 },
      { offset: 3, progress: 1 },
    ].slice(-told.length);
    assert.deepEqual(told, last);
  }
  assert.deepEqual(problems, [[], []]);
}

test('redis-cli publishes to browsers on two servers', LIMIT, async (t) => {
  const redis = await startRedis(t);
  await publishAndLook(t, redis, (data) => redis.client('PUBLISH', `tidegate:${TOPIC}`, data));
});

test('psql publishes to browsers on two servers', LIMIT, async (t) => {
  const postgres = await startPostgres(t);
  await publishAndLook(t, postgres, (data) =>
    postgres.client('-c', `INSERT INTO pubsub_events (channel, data) VALUES ('${TOPIC}', '${data}')`),
  );
});

test('a job that shares only a file with the server is watched to its end', LIMIT, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-file-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const backend = `sqlite:${join(folder, 'topics.db')}`;
  const { pages, problems } = await twoDashboards(t, backend);
  // It goes on once both pages have shown it at work.
  const go = join(folder, 'go');
  const script = 'echo 1/2 first; while [ ! -e "$0" ]; do sleep 0.05; done; echo 2/2 second';
  tidegate(t, ['run', '--backend', backend, '--job', 'pair', '--', 'sh', '-c', script, go]);
  for (const page of pages) {
    await shown(page, 50).waitFor();
  }
  await writeFile(go, '');
  for (const page of pages) {
    await page.locator('#finished li').filter({ hasText: 'Complete' }).waitFor();
  }
  assert.deepEqual(problems, [[], []]);
});
