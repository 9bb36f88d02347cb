/** The browser's own `WebSocket` and `EventSource`, without this package, against a real server. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { startBrowser } from '../support/browser.js';
import { freeAddress } from '../support/ports.js';
import { publish, type RunningServer, startServerAt } from '../support/server.js';
import { SECRET, token } from '../support/tokens.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 90_000 };

/** The frames that a page has received, and the client that it uses. */
interface Following {
  /** Frames, in the order in which they came. */
  frames: { type: string; topic?: string; epoch?: number; offset?: number; data?: unknown }[];
  source?: EventSource;
  socket?: WebSocket;
}

declare const following: Following;

/** An empty page of the server's origin. */
async function emptyPage(t: TestContext, server: string): Promise<Page> {
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  await page.goto(`${server}/healthz`);
  return page;
}

/** Follows with an `EventSource`, as any page may. */
async function followBySource(page: Page, query: string): Promise<void> {
  await page.evaluate((query) => {
    const source = new EventSource(`/events?${query}`);
    const frames: Following['frames'] = [];
    for (const name of ['message', 'end', 'lagged', 'reset']) {
      source.addEventListener(name, (event) => frames.push(JSON.parse((event as MessageEvent).data)));
    }
    Object.assign(globalThis, { following: { frames, source } });
  }, query);
}

/** Follows with a `WebSocket`; with `since`, after these positions. */
async function followBySocket(
  page: Page,
  pattern: string,
  hello: object = {},
  more: string[] = [],
): Promise<void> {
  await page.evaluate(
    ({ pattern, hello, more }) => {
      const frames = (globalThis as unknown as { following?: Following }).following?.frames ?? [];
      const last = frames.findLast(({ type }) => type === 'pub');
      const since = last && [{ topic: last.topic, epoch: last.epoch, offset: last.offset }];
      const socket = new WebSocket(`ws://${location.host}/ws`, ['tidegate.v1.json', ...more]);
      socket.onopen = () =>
        socket.send(
          JSON.stringify([
            { type: 'hello', ...hello },
            { type: 'subscribe', pattern, since },
          ]),
        );
      socket.onmessage = ({ data }) => frames.push(...[JSON.parse(data)].flat());
      Object.assign(globalThis, { following: { frames, socket } });
    },
    { pattern, hello, more },
  );
}

/** Waits until a page has received publications with exactly these data. */
async function received(page: Page, expected: readonly unknown[]): Promise<void> {
  await page.waitForFunction(
    (count) => following.frames.filter(({ type }) => type === 'pub').length >= count,
    expected.length,
  );
  const pubs = await page.evaluate(() => following.frames.filter(({ type }) => type === 'pub'));
  assert.deepEqual(
    pubs.map(({ data }) => data),
    expected,
  );
}

async function has(page: Page, type: string): Promise<void> {
  await page.waitForFunction((type) => following.frames.some((frame) => frame.type === type), type);
}

/** A server that is killed, its successor at the same address with the same file, and what was published in between. */
async function succeeded(t: TestContext, file: string, before: RunningServer): Promise<void> {
  await before.kill();
  const after = await startServerAt(t, new URL(before.url).host, file);
  await publish(after.url, 'job:1', 3);
  await publish(after.url, 'job:1', 4);
}

async function startWithFile(t: TestContext): Promise<[string, RunningServer]> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-outside-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = `sqlite:${join(folder, 'topics.db')}`;
  return [file, await startServerAt(t, await freeAddress(), file)];
}

test(
  "an EventSource follows a job through a server's death, and stops when the job is over",
  LIMIT,
  async (t) => {
    const [file, server] = await startWithFile(t);
    const page = await emptyPage(t, server.url);
    await publish(server.url, 'job:1', 1);
    await followBySource(page, 'topic=job:1');
    await received(page, [1]);
    await publish(server.url, 'job:1', 2);
    await received(page, [1, 2]);
    await succeeded(t, file, server);
    // The browser reconnects by itself, and sends its position as `Last-Event-ID`.
    await received(page, [1, 2, 3, 4]);
    await publish(server.url, 'job:1', 5, { end: 'complete' });
    await received(page, [1, 2, 3, 4, 5]);
    await has(page, 'end');
    await page.waitForFunction(() => following.source?.readyState === EventSource.CLOSED);
    await received(page, [1, 2, 3, 4, 5]);
  },
);

test('an EventSource that has had no event yet misses none while its server is dead', LIMIT, async (t) => {
  const [file, server] = await startWithFile(t);
  const pages: Page[] = [];
  for (const query of ['topic=job:1', 'topic=job:*', 'topic=job:1&topic=job:2', 'topic=job:1&latest=false']) {
    const page = await emptyPage(t, server.url);
    await followBySource(page, query);
    await page.waitForFunction(() => following.source?.readyState === EventSource.OPEN);
    pages.push(page);
  }
  await succeeded(t, file, server);
  for (const page of pages) {
    await received(page, [3, 4]);
  }
});

test("an EventSource's device goes on where it was when it last connected again", LIMIT, async (t) => {
  const [file, server] = await startWithFile(t);
  const page = await emptyPage(t, server.url);
  const query = 'topic=job:1&durable=phone-b1946ac92492';
  await publish(server.url, 'job:1', 1);
  await followBySource(page, query);
  await received(page, [1]);
  await publish(server.url, 'job:1', 2);
  await received(page, [1, 2]);
  await succeeded(t, file, server);
  // With `Last-Event-ID`, the browser sends what it has seen.
  await received(page, [1, 2, 3, 4]);
  await page.reload();
  await followBySource(page, query);
  await received(page, [3, 4]);
  const last = await page.evaluate(() => {
    following.source?.close();
    const { epoch, offset } = following.frames.at(-1)!;
    return `${epoch}:${offset}`;
  });
  // A page that kept the id of the last event can do the same.
  await page.reload();
  await followBySource(page, `${query}&last_event_id=${last}`);
  await publish(server.url, 'job:1', 5);
  await received(page, [5]);
});

test('a WebSocket follows a job, resumes, and is told of its end', LIMIT, async (t) => {
  const [file, server] = await startWithFile(t);
  const page = await emptyPage(t, server.url);
  await followBySocket(page, 'job:1');
  await has(page, 'subscribed');
  await publish(server.url, 'job:1', 1);
  await publish(server.url, 'job:1', 2);
  await received(page, [1, 2]);
  await page.evaluate(() => following.socket?.send('what?'));
  await has(page, 'error');
  assert.equal(await page.evaluate(() => following.socket?.readyState), 1, 'that costs it nothing');
  await succeeded(t, file, server);
  await page.waitForFunction(() => following.socket?.readyState === WebSocket.CLOSED);
  await followBySocket(page, 'job:1');
  await received(page, [1, 2, 3, 4]);
  await publish(server.url, 'job:1', 5, { end: 'complete' });
  await has(page, 'end');
  await received(page, [1, 2, 3, 4, 5]);
});

/** Starts a server that requires tokens. */
async function startAsking(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-outside-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const secret = join(folder, 'secret');
  await writeFile(secret, SECRET);
  const asks = ['--jwt-secret-file', secret];
  return (await startServerAt(t, '127.0.0.1:0', 'memory', asks)).url;
}

/** Publishes with a token. */
async function publishAs(url: string, bearer: string, topic: string, data: unknown): Promise<void> {
  const headers = { authorization: `Bearer ${bearer}` };
  const body = JSON.stringify({ topic, data });
  assert.equal((await fetch(`${url}/publish`, { method: 'POST', headers, body })).status, 200);
}

/** Gives a page a token in its cookie. */
async function logIn(page: Page, url: string, value: string): Promise<void> {
  await page
    .context()
    .addCookies([{ name: 'tidegate_token', value, url, httpOnly: true, sameSite: 'Strict' }]);
}

test('a page shows a token in each way that a browser has', LIMIT, async (t) => {
  const url = await startAsking(t);
  const adas = token({ sub: 'ada', subscribe: ['job:*'], publish: ['job:*'] });
  await publishAs(url, adas, 'job:1', 'for ada');
  const page = await emptyPage(t, url);

  await followBySocket(page, 'job:1');
  await has(page, 'error');
  const fresh = async (follow: () => Promise<void>): Promise<void> => {
    await page.reload();
    await follow();
    await received(page, ['for ada']);
  };
  await fresh(() => followBySocket(page, 'job:1', {}, [`tidegate.token.${adas}`]));
  assert.equal(
    await page.evaluate(() => following.socket?.protocol),
    'tidegate.v1.json',
    'the token is not sent back',
  );
  await fresh(() => followBySocket(page, 'job:1', { token: adas }));
  const headers = { authorization: `Bearer ${adas}` };
  const { ticket } = (await (await fetch(`${url}/ticket`, { method: 'POST', headers })).json()) as {
    ticket: string;
  };
  await fresh(() => followBySource(page, `topic=job:1&ticket=${ticket}`));
  await logIn(page, url, adas);
  await fresh(() => followBySocket(page, 'job:1'));
  await fresh(() => followBySource(page, 'topic=job:1'));
});

test("an EventSource is in its user's room, and resumes from where its topics were", LIMIT, async (t) => {
  const url = await startAsking(t);
  const page = await emptyPage(t, url);
  await logIn(page, url, token({ sub: 7, subscribe: ['job:*'] }));
  const server = token({ publish: ['**'] });
  await publishAs(url, server, 'job:1', 'begun');
  await followBySource(page, 'topic=job:1');
  await received(page, ['begun']);
  const heard = await page.evaluateHandle(() => {
    const heard: { data: unknown; lastEventId: string }[] = [];
    following.source?.addEventListener('user', ({ data, lastEventId }) => {
      heard.push({ data: JSON.parse(data).data, lastEventId });
    });
    return heard;
  });
  await publishAs(url, server, 'user:8', 'for somebody else');
  await publishAs(url, server, 'user:7', 'it rings');
  await page.waitForFunction((heard) => heard.length > 0, heard);
  const { epoch, offset } = await page.evaluate(() => following.frames.at(-1)!);
  assert.deepEqual(await heard.jsonValue(), [{ data: 'it rings', lastEventId: `${epoch}:${offset}` }]);
  // A page that asked for one job gets events of that job only.
  await received(page, ['begun']);
});

test('a page that hangs is told what it missed, and the page beside it misses nothing', LIMIT, async (t) => {
  // A hanging page doesn't answer pings either, but must not be disconnected.
  const patient = ['--heartbeat', '1h', '--write-timeout', '1h'];
  const { url: server } = await startServerAt(t, '127.0.0.1:0', 'memory', patient);
  const browser = await startBrowser(t);
  const [hanging, quick] = [await browser.newPage(), await browser.newPage()];
  const follows = [
    followBySocket,
    (page: Page, topic: string) => followBySource(page, `topic=${topic}`),
  ] as const;
  for (const [index, follow] of follows.entries()) {
    const topic = `job:${index}`;
    for (const page of [hanging, quick]) {
      await page.goto(`${server}/healthz`);
      await follow(page, topic);
    }
    await publish(server, topic, { n: 0 });
    await received(hanging, [{ n: 0 }]);
    // A page that shows a dialog is blocked.
    const asked = hanging.waitForEvent('dialog');
    void hanging.evaluate(() => alert('Are you there?'));
    const dialog = await asked;
    const filling = 'x'.repeat(512 * 1024);
    for (let n = 1; n <= 32; n++) {
      await publish(server, topic, { n, filling });
      await quick.waitForFunction(
        (n) => (following.frames.at(-1)?.data as { n: number } | undefined)?.n === n,
        n,
      );
    }
    await publish(server, topic, { n: 'last' }, { end: 'complete' });
    await has(quick, 'end');
    assert.equal(
      await quick.evaluate(() => following.frames.filter(({ type }) => type === 'pub').length),
      34,
    );
    await dialog.accept();
    await has(hanging, 'end');
    const [pubs, missed] = await hanging.evaluate(() => {
      const lagged = following.frames.filter(({ type }) => type === 'lagged') as unknown as {
        missed: number;
      }[];
      const pubs = following.frames.filter(({ type }) => type === 'pub').length;
      return [pubs, lagged.reduce((sum, { missed }) => sum + missed, 0)] as const;
    });
    assert.ok(missed > 0, `${topic}: 16 MB cannot have waited`);
    assert.equal(pubs + missed, 34);
  }
});
