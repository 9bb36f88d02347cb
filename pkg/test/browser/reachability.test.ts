/** A server that a page can't reach: the page learns why, whichever tab or worker holds the connection. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { placePackage, startBrowser } from '../support/browser.js';
import { freeAddress } from '../support/ports.js';
import { startServer, startServerAt } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const HTML = `<!doctype html>
<html lang="en">
<title>test</title>
<link rel="icon" href="data:,">
<script type="module">
  import { connect } from './index.js';
  import './element.js';
  const query = new URLSearchParams(location.search);
  window.errors = [];
  const tide = connect(query.get('server'), { tabs: query.get('tabs') });
  tide.subscribe('job:1', () => {});
  tide.on('error', ({ code, message }) => window.errors.push(code + ' ' + message));
  tide.on('state', (state) => { window.state = state; });
  const bar = document.createElement('tide-progress');
  document.body.append(Object.assign(bar, { topic: 'job:1', src: query.get('server') }));
</script>
<body></body>
</html>`;

interface Opened {
  readonly page: Page;
  readonly warnings: string[];
}

async function openPage(t: TestContext, origin: string, server: string, tabs: string): Promise<Opened> {
  const page = await (await startBrowser(t)).newPage();
  const warnings: string[] = [];
  page.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
  await placePackage(page, `${origin}/page`, { 'index.html': HTML });
  await page.goto(`${origin}/page/index.html?${new URLSearchParams({ server, tabs })}`);
  return { page, warnings };
}

/** Checks what a page shows and logs about a server that it can't reach. */
async function assertTold({ page, warnings }: Opened, reason: RegExp): Promise<void> {
  await page.locator('tide-progress[state=unreachable]').getByText('Cannot reach the server').waitFor();
  await page.getByText(reason).waitFor();
  await page.waitForFunction('window.state.attempt > 2');
  const errors = await page.evaluate<string[]>('window.errors');
  assert.equal(errors.length, 1);
  assert.match(errors[0]!, /^unreachable /);
  assert.match(errors[0]!.slice('unreachable '.length), reason);
  assert.match(await page.evaluate<string>('window.state.reason'), reason);
  // The element's own connection has no listeners.
  const told = warnings.filter((text) => text.startsWith('tidegate: '));
  assert.equal(told.length, 1);
  assert.match(told[0]!.slice('tidegate: '.length), reason);
}

/** Starts a server that only speaks HTTP, and returns its address. */
async function startOther(t: TestContext): Promise<string> {
  const address = await freeAddress();
  const server = createServer((_, response) => response.writeHead(404).end());
  const [host, port] = address.split(':');
  await new Promise<void>((resolve) => server.listen(Number(port), host, resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  return `http://${address}`;
}

for (const tabs of ['worker', 'leader', 'off']) {
  test(`${tabs}: nobody answers, until somebody does`, LIMIT, async (t) => {
    const origin = await startOther(t);
    const address = await freeAddress();
    const opened = await openPage(t, origin, `http://${address}`, tabs);
    await assertTold(opened, new RegExp(`^cannot reach http://${address}/ws: `));
    await startServerAt(t, address, 'memory', ['--origin', origin]);
    await opened.page.locator('tide-progress[state=waiting]').waitFor({ timeout: 40_000 });
    await opened.page.waitForFunction('window.state.status === "connected" && !("reason" in window.state)');
  });
}

test('pages of an origin that the server does not know are told what to do', LIMIT, async (t) => {
  const origin = await startOther(t);
  const server = await startServer(t);
  const opened = await openPage(t, origin, server, 'auto');
  await assertTold(opened, new RegExp(`^${server}/ws answers, .*: start the server with --origin ${origin}`));
});

test('an address of somebody else’s server is told with what it answers', LIMIT, async (t) => {
  const origin = await startOther(t);
  const opened = await openPage(t, origin, '/', 'auto');
  await assertTold(opened, new RegExp(`^no Tidegate at ${origin}/ws: status 404$`));
});
