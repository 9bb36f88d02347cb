/** The memory of a page after very many publications, and after many connections. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import { type CDPSession, chromium, type Page } from 'playwright-core';
import { connect } from 'tidegate';

import { startFront } from '../support/front.js';
import { chromiumPath, packageRoot, startServer } from '../support/server.js';

/** The number of publications. A million take a minute or two. */
const PUBLICATIONS = Number(process.env['TIDEGATE_PUBLICATIONS'] ?? 50_000);

/** How many are published before waiting for the page. */
const BATCH = 1_000;

const LIMIT = { timeout: 900_000 };

/** Counts its updates without keeping them, and reports the size of the core's memory. */
const PAGE = `<!doctype html><title>tab</title><link rel="icon" href="data:,"><script>
const instantiate = WebAssembly.instantiate;
const instantiateStreaming = WebAssembly.instantiateStreaming;
const keep = (loaded) => {
  globalThis.memory = (loaded.instance ?? loaded).exports.memory;
  return loaded;
};
WebAssembly.instantiate = (...given) => instantiate(...given).then(keep);
WebAssembly.instantiateStreaming = (...given) => instantiateStreaming(...given).then(keep);
globalThis.told = { count: 0, last: 0, wrong: 0 };
</script><script type="module">
import { connect } from './dist/index.js';
const tide = connect(location.origin, { tabs: new URLSearchParams(location.search).get('tabs') });
const note = () => { told.wrong += 1; };
tide.subscribe('job:*', { onReset: note, onLagged: note }, ({ offset }) => {
  told.count += 1;
  told.last = offset;
});
tide.on('state', ({ status }) => { told.status = status; });
</script>`;

interface Held {
  readonly heap: number;
  readonly wasm: number;
}

async function held(page: Page, devtools: CDPSession): Promise<Held> {
  await devtools.send('HeapProfiler.collectGarbage');
  await devtools.send('HeapProfiler.collectGarbage');
  const { usedSize } = await devtools.send('Runtime.getHeapUsage');
  return { heap: usedSize, wasm: await page.evaluate<number>('memory.buffer.byteLength') };
}

async function serve(t: TestContext, server: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-memory-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await symlink(join(packageRoot, 'dist'), join(folder, 'dist'));
  await writeFile(join(folder, 'index.html'), PAGE);
  return startFront(t, folder, server);
}

/** A page that is connected to a server in this way. */
async function openPage(t: TestContext, way: string) {
  const server = await startServer(t);
  const front = await serve(t, server);
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ['--no-sandbox', '--disable-gpu'],
  });
  t.after(() => browser.close());
  const context = await browser.newContext();
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await page.goto(`${front}/?tabs=${way}`);
  await page.waitForFunction(`told.status === 'connected'`);
  return { server, front, context, page, devtools };
}

for (const way of ['off', 'leader']) {
  test(`${way}: publications pass through a page and leave nothing behind`, LIMIT, async (t) => {
    const { server, front, context, page, devtools } = await openPage(t, way);
    // In tabs that share a connection, updates are also passed on.
    const other = await context.newPage();
    await other.goto(`${front}/?tabs=${way}`);
    await other.waitForFunction(`told.status === 'connected'`);
    const tide = connect(server);
    t.after(() => tide.close());
    let before: Held | undefined;
    for (let sent = 0; sent < PUBLICATIONS; sent += BATCH) {
      // To many topics, so that memory doesn't depend on a single one.
      const published = Array.from({ length: BATCH }, (_, index) =>
        tide.publish(`job:${index % 50}`, { progress: sent + index, message: 'so far' }),
      );
      await Promise.all(published);
      for (const reader of [page, other]) {
        await reader.waitForFunction(`told.count >= ${sent + BATCH}`, undefined, { polling: 5 });
      }
      if (before === undefined && sent >= PUBLICATIONS / 10) {
        before = await held(page, devtools);
      }
    }
    const after = await held(page, devtools);
    const grown = after.heap - before!.heap;
    t.diagnostic(
      `${way}: after ${PUBLICATIONS} publications: heap ${Math.round(after.heap / 1024)} KiB, ` +
        `${Math.round(grown / 1024)} KiB more than after a tenth of them; WASM memory ${after.wasm / 1024} KiB, ` +
        `${(after.wasm - before!.wasm) / 1024} KiB more`,
    );
    assert.equal(await page.evaluate('told.wrong'), 0);
    assert.ok(grown < 128 * 1024, `the heap has grown by ${grown} bytes`);
    // It grows by an eighth at a time.
    assert.ok(after.wasm <= before!.wasm * 1.125 + 64 * 1024, 'the WASM memory has grown more than once');
  });
}

/** The number of connections that are made and closed, one after the other. */
const CONNECTIONS = 20;

/** How many objects with the prototype `expression` a page holds. */
async function heldOf(devtools: CDPSession, expression: string): Promise<number> {
  await devtools.send('HeapProfiler.collectGarbage');
  const evaluate = { expression, awaitPromise: true };
  const { result } = await devtools.send('Runtime.evaluate', evaluate);
  const { objects } = await devtools.send('Runtime.queryObjects', { prototypeObjectId: result.objectId! });
  const count = await devtools.send('Runtime.callFunctionOn', {
    objectId: objects.objectId!,
    functionDeclaration: 'function () { return this.length; }',
    returnByValue: true,
  });
  await devtools.send('Runtime.releaseObject', { objectId: objects.objectId! });
  return count.result.value as number;
}

for (const way of ['off', 'leader', 'worker']) {
  test(`${way}: connections that were closed leave nothing behind`, LIMIT, async (t) => {
    const { page, devtools } = await openPage(t, way);
    await page.evaluate(
      async ([tabs, count]) => {
        const entry = new URL('./dist/index.js', location.href).href;
        const tidegate = (await import(entry)) as typeof import('tidegate');
        for (let nth = 0; nth < count; nth += 1) {
          const tide = tidegate.connect(location.origin, { tabs });
          await new Promise<void>((resolve) => {
            tide.on('state', ({ status }) => {
              if (status === 'connected') {
                resolve();
              }
            });
          });
          tide.close();
        }
      },
      [way as 'off', CONNECTIONS] as const,
    );
    const connections = "import('./dist/tide.js').then(({ Connection }) => Connection.prototype)";
    let held = CONNECTIONS;
    for (let attempt = 0; attempt < 20 && held > 1; attempt += 1) {
      held = await heldOf(devtools, connections);
    }
    assert.equal(held, 1, 'only the connection that is open is held');
  });
}
