/** What `<tide-progress>` shows while its server refuses the connection, which is retried. */

import { test } from 'node:test';

import { placePackage, startBrowser } from '../support/browser.js';
import { startServer } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

/** The server accepts the first token that it sees, and no other. */
const HTML = `<!doctype html><title>test</title><link rel="icon" href="data:,">
<script type="module">
import { connect } from './index.js';
import './element.js';
const FIRST = [
  { type: 'welcome', heartbeat_ms: 25000 },
  { type: 'subscribed', pattern: 'job:1' },
  { type: 'pub', topic: 'job:1', epoch: 1, offset: 1, data: { progress: 0.3, message: 'row 3' } },
];
const REFUSAL = { type: 'error', code: 'unauthorized', message: "its signature matches none of the server's keys", fatal: true };
let hellos = 0;
class Server extends EventTarget {
  constructor() {
    super();
    setTimeout(() => this.dispatchEvent(new Event('open')));
  }
  send(text) {
    if (text.includes('"hello"')) {
      hellos += 1;
      const data = JSON.stringify(hellos === 1 ? FIRST : REFUSAL);
      setTimeout(() => {
        this.dispatchEvent(new MessageEvent('message', { data }));
        this.dispatchEvent(new CloseEvent('close'));
      });
    }
  }
  close() {}
}
const tide = connect('/', { WebSocket: Server, tabs: 'off', token: () => 'mine' });
document.querySelector('tide-progress').tide = tide;
</script>
<body><tide-progress topic="job:1"></tide-progress></body>`;

test('a bar says why it gets no news, and what it knows', LIMIT, async (t) => {
  const server = await startServer(t);
  const page = await (await startBrowser(t)).newPage();
  await placePackage(page, `${server}/page`, { 'index.html': HTML });
  await page.goto(`${server}/page/index.html`);
  const part = (name: string) => page.locator(`tide-progress[state="stale"] [part="${name}"]`);
  await part('message')
    .filter({ hasText: "unauthorized: its signature matches none of the server's keys" })
    .waitFor();
  await part('percent').filter({ hasText: '30%' }).waitFor();
});
