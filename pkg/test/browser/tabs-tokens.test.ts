/** Tabs of a real browser that share a connection whose tokens last seconds. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { startBrowser } from '../support/browser.js';
import { startFront } from '../support/front.js';
import { packageRoot, startServerAt } from '../support/server.js';
import { WAYS } from '../support/tabs.js';
import { SECRET, token } from '../support/tokens.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 180_000 };

/** How long a token lasts, in seconds. */
const LASTS_S = 8;

const PAGE = `<!doctype html><title>tab</title><link rel="icon" href="data:,"><script type="module">
import { connect } from './dist/index.js';
const tabs = new URLSearchParams(location.search).get('tabs');
const tide = connect(location.origin, { tabs, token: () => window.login() });
const told = { states: [], offsets: [], wrong: [] };
tide.on('error', (error) => told.wrong.push(String(error)));
tide.on('state', ({ status }) => told.states.push(status));
tide.subscribe('job:1', { onError: (error) => told.wrong.push(String(error)) }, ({ offset }) => told.offsets.push(offset));
const early = tide.publish('job:1', 'early').catch(({ code }) => code);
Object.assign(window, { tide, told, early });
</script>`;

interface Told {
  readonly states: string[];
  readonly offsets: number[];
  readonly wrong: string[];
}

type User = () => string | undefined | Promise<never>;

interface Scene {
  readonly server: string;
  /** Opens a tab whose function `login` gives tokens of the user, or fails. `wait` waits until it can connect. */
  open(user: User, wait?: (page: Page) => Promise<void>): Promise<Page>;
  /** How long the tokens of all tabs last from now on, in seconds. */
  readonly tokens: { lastS: number };
  /** How often each tab was asked. */
  readonly asked: Map<Page, number>;
}

async function setScene(t: TestContext, way: string): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-'));
  t.after(() => rm(folder, { recursive: true }));
  await symlink(join(packageRoot, 'dist'), join(folder, 'dist'));
  await writeFile(join(folder, 'index.html'), PAGE);
  const secret = join(folder, 'secret');
  await writeFile(secret, SECRET);
  const more = ['--jwt-secret-file', secret];
  const { url: server } = await startServerAt(t, '127.0.0.1:0', 'memory', more);
  const front = await startFront(t, folder, server);
  const context = await (await startBrowser(t)).newContext();
  const asked = new Map<Page, number>();
  const tokens = { lastS: LASTS_S };
  const open: Scene['open'] = async (user, wait) => {
    const page = await context.newPage();
    await page.exposeFunction('login', async () => {
      asked.set(page, (asked.get(page) ?? 0) + 1);
      const sub = await user();
      assert.ok(sub !== undefined, 'this tab has lost its login');
      // Some issuers number their tokens.
      const uti = randomUUID();
      return token({ sub, uti, exp: Math.floor(Date.now() / 1000) + tokens.lastS, subscribe: ['job:*'] });
    });
    if (wait !== undefined) {
      await page.clock.install();
    }
    await page.goto(`${front}/?tabs=${way}`);
    await wait?.(page);
    await page.waitForFunction(`tide.state.status === 'connected'`);
    return page;
  };
  return { server, open, tokens, asked };
}

async function publish(server: string, count: number): Promise<void> {
  const authorization = `Bearer ${token({ publish: ['**'] })}`;
  const body = JSON.stringify({ topic: 'job:1', data: count });
  const response = await fetch(`${server}/publish`, { method: 'POST', headers: { authorization }, body });
  assert.equal(response.status, 200);
}

async function connections(server: string): Promise<number> {
  const response = await fetch(`${server}/debug`);
  return ((await response.json()) as { connections: number }).connections;
}

const tell = (page: Page): Promise<Told> => page.evaluate('told') as Promise<Told>;

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (const way of WAYS) {
  test(`${way}: tabs answer for each other, and nobody notices that tokens end`, LIMIT, async (t) => {
    const { server, open, asked } = await setScene(t, way);
    let hasLogin = true;
    const first = await open(() => (hasLogin ? 'ada' : undefined));
    const second = await open(() => 'ada');
    const total = (): number => [...asked.values()].reduce((sum, count) => sum + count, 0);
    assert.equal(await connections(server), 1);
    await publish(server, 1);
    const before = total();
    await until('two renewals', () => total() >= before + 2);
    hasLogin = false;
    const ofSecond = asked.get(second)!;
    await until('answers of the other tab', () => asked.get(second)! >= ofSecond + 2);
    await publish(server, 2);
    for (const page of [first, second]) {
      await until('the second publication', async () => (await tell(page)).offsets.length === 2);
      const { states, offsets } = await tell(page);
      assert.deepEqual(offsets, [1, 2]);
      assert.equal(states.includes('disconnected'), false, states.join());
    }
    assert.deepEqual((await tell(second)).wrong, []);
    assert.equal(await connections(server), 1);
  });

  test(
    `${way}: all tabs know why the server refuses them, while other tokens are tried`,
    LIMIT,
    async (t) => {
      const { server, open, tokens } = await setScene(t, way);
      const tabs = [await open(() => 'ada'), await open(() => 'ada')];
      tokens.lastS = -3600;
      const reasons = (): Promise<unknown[]> =>
        Promise.all(tabs.map((tab) => tab.evaluate('tide.state.reason')));
      await until('a reason', async () =>
        (await reasons()).every((it) => /^(unauthorized|token_expired): /.test(String(it))),
      );
      tokens.lastS = LASTS_S;
      for (const tab of tabs) {
        await tab.waitForFunction(`tide.state.status === 'connected'`);
      }
      await publish(server, 1);
      for (const tab of tabs) {
        await until('the publication', async () => (await tell(tab)).offsets.length === 1);
        assert.deepEqual((await tell(tab)).wrong, []);
      }
    },
  );

  test(`${way}: a tab whose first token could not be had shares once it can`, LIMIT, async (t) => {
    const { server, open } = await setScene(t, way);
    await open(() => 'ada');
    let isRefused = true;
    const late = await open(() => {
      const user = isRefused ? undefined : 'ada';
      isRefused = false;
      return user;
    });
    await until('one connection', async () => (await connections(server)) === 1);
    await publish(server, 1);
    await until('the publication', async () => (await tell(late)).offsets.length === 1);
    const { wrong } = await tell(late);
    assert.match(wrong[0] ?? '', /has lost its login/);
    // The forbidden publish from before is answered by the server.
    assert.deepEqual([wrong.length, await late.evaluate('early')], [1, 'forbidden']);
  });

  test(`${way}: a tab that can have no token asks once for each attempt to connect`, LIMIT, async (t) => {
    const { open } = await setScene(t, way);
    let failures = 0;
    const late = await open(() => {
      failures += 1;
      return failures > 5 ? 'ada' : undefined;
    });
    const { states, wrong } = await tell(late);
    // The first call, before any attempt, was made to learn with whom to share.
    assert.deepEqual([states.filter((state) => state === 'disconnected').length, wrong.length], [4, 5]);
  });

  test(`${way}: a tab whose first token does not come in time shares by the next`, LIMIT, async (t) => {
    const { server, open, asked } = await setScene(t, way);
    await open(() => 'ada');
    let hangs = true;
    let seconds = 0;
    const late = await open(
      () => {
        const user = hangs ? new Promise<never>(() => {}) : 'ada';
        hangs = false;
        return user;
      },
      (page) =>
        until('another question', async () => {
          const isAsked = asked.get(page) === 2;
          if (!isAsked) {
            seconds += 1;
            await page.clock.fastForward(1_000);
          }
          return isAsked;
        }),
    );
    assert.ok(seconds > 20, `${seconds} seconds`);
    await until('one connection', async () => (await connections(server)) === 1);
    await publish(server, 1);
    await until('the publication', async () => (await tell(late)).offsets.length === 1);
    const { wrong } = await tell(late);
    assert.match(wrong.join(), /^TidegateError: the token function has not answered yet/);
  });

  test(`${way}: tabs of two users do not share`, LIMIT, async (t) => {
    const { server, open } = await setScene(t, way);
    await open(() => 'ada');
    await open(() => 'bob');
    assert.equal(await connections(server), 2);
  });
}
