/** `<tide-progress>` on pages of a server that requires tokens. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { publishAs, startAskingServer } from '../support/asking-server.js';
import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { token } from '../support/tokens.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

interface Scene {
  readonly server: string;
  readonly page: Page;
  /** A token that gives access to the topics that are shown. */
  readonly good: string;
  /** The sockets that the page has opened. */
  readonly sockets: string[];
  readonly problems: string[];
}

/** A page with a bar, whose files are in place, but which is not loaded yet. */
async function setUp(t: TestContext, script: string): Promise<Scene> {
  const server = await startAskingServer(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const html = `<!doctype html><title>test</title><link rel="icon" href="data:,">
    <script type="module">${script}</script>
    <tide-progress topic="job:1"></tide-progress>`;
  await placePackage(page, `${server}/page`, { 'index.html': html });
  const good = token({ sub: 'ada', subscribe: ['job:**'], publish: ['**'] });
  await publishAs(server, good, 'job:1', { progress: 0.3 });
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  return { server, page, good, sockets, problems: complaints(page) };
}

test('a token in a cookie is all that markup needs', LIMIT, async (t) => {
  const { server, page, good, problems } = await setUp(t, `import './element.js';`);
  await page.context().addCookies([{ name: 'tidegate_token', value: good, url: server, httpOnly: true }]);
  await page.goto(`${server}/page/index.html`);
  await page.getByText('30%').waitFor();
  assert.deepEqual(problems, []);
});

test('a bar makes no connection of its own if the script that loads it gives it one', LIMIT, async (t) => {
  const { server, page, good, sockets, problems } = await setUp(
    t,
    `import './element.js';
    import { connect } from './index.js';
    const token = async () => (await fetch('token.js')).text();
    const tide = connect('/', { token, tabs: 'off' });
    for (const bar of document.querySelectorAll('tide-progress')) bar.tide = tide;`,
  );
  await page.route('**/token.js', (route) => route.fulfill({ body: good }));
  await page.goto(`${server}/page/index.html`);
  await page.getByText('30%').waitFor();
  assert.equal(sockets.length, 1, String(sockets));
  assert.deepEqual(problems, []);
});
