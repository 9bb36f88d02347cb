/** Presences of real pages, with a real server. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { bundleApp } from '../support/bundle.js';
import { startServer } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

type App = typeof import('../apps/presence.js');

interface Device {
  readonly page: Page;
  readonly problems: string[];
  call<N extends keyof App>(name: N, ...args: Parameters<App[N]>): Promise<ReturnType<App[N]>>;
  /** Waits until exactly these changes were reported. */
  told(...expected: string[]): Promise<void>;
}

const TOPIC = 'doc:7';

/** A page in a browser context of its own, like another device. */
async function device(browser: Browser, server: string): Promise<Device> {
  const page = await (await browser.newContext()).newPage();
  const problems = complaints(page);
  const base = `${server}/app`;
  await placePackage(page, base, {
    'index.html':
      '<!doctype html><title>test</title><link rel="icon" href="data:,"><div id="root"></div><script type="module">import * as app from "./app.js"; window.app = app;</script>',
    'app.js': await bundleApp('presence.ts'),
  });
  await page.goto(`${base}/index.html`);
  await page.waitForFunction(() => 'app' in window);
  const call: Device['call'] = (name, ...args) =>
    page.evaluate(
      ([fn, given]) =>
        (window as unknown as { app: Record<string, (...args: unknown[]) => unknown> }).app[fn]!(...given),
      [name, args as unknown[]] as const,
    ) as never;
  await call('start', server, TOPIC);
  return {
    page,
    problems,
    call,
    told: (...expected) =>
      page
        .waitForFunction(
          (all) => JSON.stringify((window as unknown as { app: App }).app.noted().told) === all,
          JSON.stringify(expected),
          { timeout: 30_000 },
        )
        .then(() => {})
        .catch(async () => assert.deepEqual((await call('noted')).told, expected)),
  };
}

async function setUp(t: TestContext): Promise<{ server: string; one: Device; two: Device; third: Device }> {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  const devices = await Promise.all([1, 2, 3].map(() => device(browser, server)));
  return { server, one: devices[0]!, two: devices[1]!, third: devices[2]! };
}

test('a user on two devices is one join and one leave, with the metas of both', LIMIT, async (t) => {
  const { one, two, third } = await setUp(t);
  const soFar: string[] = [];
  const everybodyHears = async (what: string): Promise<void> => {
    soFar.push(what);
    for (const each of [one, two, third]) {
      await each.told(...soFar);
    }
  };
  await one.call('track', TOPIC, 'ada', 'laptop');
  await everybodyHears('+ada(laptop)');
  await two.call('track', TOPIC, 'ada', 'phone');
  await everybodyHears('~ada(laptop,phone)');
  await two.call('update', 'tablet');
  await everybodyHears('~ada(laptop,tablet)');
  await one.call('untrack');
  await everybodyHears('~ada(tablet)');
  // A page that goes away takes its presence with it.
  await two.page.close();
  soFar.push('-ada(tablet)');
  await one.told(...soFar);
  await third.told(...soFar);
  assert.deepEqual([...one.problems, ...two.problems, ...third.problems], []);
});

test(
  'a connection that is lost and comes back is no change to its own page, and at most a leave and a join to others',
  LIMIT,
  async (t) => {
    const { one, two } = await setUp(t);
    await one.call('track', TOPIC, 'ada', 'laptop');
    await two.told('+ada(laptop)');
    await one.told('+ada(laptop)');
    await two.call('track', TOPIC, 'bob', 'phone');
    await one.told('+ada(laptop)', '+bob(phone)');
    await one.call('cut');
    await one.call('track', TOPIC, 'eve', 'watch');
    await one.told('+ada(laptop)', '+bob(phone)', '+eve(watch)');
    await two.page.waitForFunction(() =>
      (window as unknown as { app: App }).app.noted().told.includes('+eve(watch)'),
    );
    const ofAda = (await two.call('noted')).told.filter((what) => what.includes('ada')).join();
    // A presence that is back within 50 ms has never been away.
    assert.match(ofAda, /^\+ada\(laptop\)(,-ada\(laptop\),\+ada\(laptop\))?$/);
    const { sent } = await one.call('noted');
    const again = sent.slice(sent.lastIndexOf('hello')).join(' ');
    assert.match(again, /^hello( track)+ watch/, 'what is present is said first, so that the state holds it');
  },
);
