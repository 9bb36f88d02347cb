/** The built package against a real server: in a page, in a worker, and in Node. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, type Position } from 'tidegate';
import { WebSocket } from 'ws';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { publish, startServer } from '../support/server.js';

/** Runs in a page and in a worker: functions, a hub and a connection, all from the unbundled package. */
const PROGRAM = `
import { connect, createHub, ready, throttle } from './index.js';

export async function program(server) {
  let early = '';
  try { createHub(); } catch (error) { early = error.code; }
  await ready();
  const hub = createHub();
  const seen = [];
  hub.subscribe('a', ({ data }) => seen.push(data));
  hub.publish('a', 1);
  // Measured from before the first call: the browser decides when that runs.
  const times = [performance.now()];
  await new Promise((resolve) => {
    const fn = throttle(() => times.push(performance.now()) === 3 && resolve(), 30);
    fn(); fn();
  });
  const tide = connect(server);
  const job = [];
  for await (const { data } of tide.watch('job:1')) job.push(data.progress);
  tide.close();
  return { early, seen, calls: times.length - 1, apart: times[2] - times[0] >= 29, last: job.at(-1) };
}
`;

const WORKER = `
import { program } from './program.js';
onmessage = async ({ data }) => postMessage(await program(data));
`;

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const EXPECTED = { early: 'not_ready', seen: [1], calls: 2, apart: true, last: 1 };

test('the package works in a page and in a worker', LIMIT, async (t) => {
  const server = await startServer(t);
  await publish(server, 'job:1', { progress: 1 }, { end: 'complete' });
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = complaints(page);
  // On the server's own origin: it allows no others.
  const base = `${server}/package-under-test`;
  await placePackage(page, base, {
    'index.html': '<!doctype html><title>test</title><link rel="icon" href="data:,">',
    'program.js': PROGRAM,
    'worker.js': WORKER,
  });
  await page.goto(`${base}/index.html`);
  const inPage = await page.evaluate(
    async ([module, url]) => ((await import(module!)) as { program(url: string): unknown }).program(url!),
    [`${base}/program.js`, server],
  );
  assert.deepEqual(inPage, EXPECTED);
  const inWorker = await page.evaluate(
    ([script, url]) =>
      new Promise((resolve) => {
        const worker = new Worker(script!, { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage(url);
      }),
    [`${base}/worker.js`, server],
  );
  assert.deepEqual(inWorker, EXPECTED);
  assert.deepEqual(problems, []);
});

for (const [name, options] of [
  ['with the WebSocket that is passed', { WebSocket }],
  ['with the platform’s WebSocket, or that of the package ws', {}],
] as const) {
  test(`Node publishes, watches and resumes ${name}`, LIMIT, async (t) => {
    const server = await startServer(t);
    using tide = connect(server, options);
    const positions: Position[] = [];
    for (const progress of [0.1, 0.5]) {
      positions.push(await tide.publish('job:1', { progress }));
    }
    assert.equal(positions[1]!.offset, 2);
    const seen: unknown[] = [];
    const watching = (async () => {
      const since = { topic: 'job:1', ...positions[0]! };
      for await (const { data, end } of tide.watch<{ progress: number }>('job:1', { since })) {
        seen.push(end ?? data.progress);
      }
    })();
    await tide.publish('job:1', { progress: 0.9 });
    await tide.publish('job:1', { progress: 1, status: 'COMPLETE' });
    await watching;
    assert.deepEqual(seen, [0.5, 0.9, 'complete']);
    await assert.rejects(tide.publish('job:1', 1), { code: 'topic_ended' });
    assert.equal(tide.state.status, 'connected');
  });
}

test('the last publications of a topic, and what comes after, as the README has them', LIMIT, async (t) => {
  const server = await startServer(t);
  using tide = connect(server, { WebSocket });
  for (let n = 1; n <= 30; n += 1) {
    await tide.publish('log:7', n);
  }
  const seen: unknown[] = [];
  const over = new Promise((resolve) => {
    const look = tide.subscribe('log:7', ({ topic, epoch, offset }) => {
      look();
      const since = { topic, epoch, offset: Math.max(offset - 20, 0) };
      tide.subscribe('log:7', { since, onEnd: resolve }, ({ data }) => seen.push(data));
      tide.publish('log:7', 31, { end: 'complete' });
    });
  });
  await over;
  assert.deepEqual(
    seen,
    Array.from({ length: 21 }, (_, nth) => 11 + nth),
  );
});
