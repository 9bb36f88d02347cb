/** `<tide-progress>` in a real browser, with a real server. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';

import { complaints, placePackage, startBrowser } from '../support/browser.js';
import { freeAddress } from '../support/ports.js';
import { packageRoot, publish, startServer, startServerAt } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const results = join(packageRoot, 'test-results');

const HTML = `<!doctype html>
<html lang="LANGUAGE">
<title>test</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 2rem; display: grid; gap: 1.5rem; max-width: 34rem; }
  .themed { --tide-progress-color: rebeccapurple; --tide-progress-height: 1rem; --tide-progress-radius: 4px; }
  .themed::part(label) { font-style: italic; }
</style>
<script type="module">
  window.sockets = 0;
  window.open = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      window.sockets += 1;
      window.open += 1;
      this.addEventListener('close', () => { window.open -= 1; });
    }
  };
  await import('./element.js');
</script>
<body>BODY</body>
</html>`;

async function openPage(
  browser: Browser,
  server: string,
  body: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage({ viewport: { width: 620, height: 780 }, ...options });
  const problems = complaints(page);
  const base = `${server}/page`;
  const language = options.locale ?? 'en';
  const html = HTML.replace('BODY', body).replace(
    'LANGUAGE"',
    `${language}"${language === 'ar' ? ' dir="rtl"' : ''}`,
  );
  await placePackage(page, base, { 'index.html': html });
  await page.goto(`${base}/index.html`);
  return { page, problems };
}

async function setUp(
  t: TestContext,
  body: string,
): Promise<{ server: string; page: Page; problems: string[] }> {
  const server = await startServer(t);
  const browser = await startBrowser(t);
  return { server, ...(await openPage(browser, server, body)) };
}

const state = (page: Page, name: string): Locator => page.locator(`tide-progress[state="${name}"]`);

/** The attributes of a bar for assistive technology. */
async function told(bar: Locator): Promise<(string | null)[]> {
  const attributes = ['valuenow', 'valuemin', 'valuemax', 'valuetext', 'busy', 'label'];
  return Promise.all(attributes.map((name) => bar.getAttribute(`aria-${name}`)));
}

test('it waits, runs and completes, and tells everybody', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, '<tide-progress topic="job:42"></tide-progress>');
  const bar = page.getByRole('progressbar');
  await state(page, 'waiting').waitFor();
  assert.deepEqual(await told(bar), [null, '0', '100', 'Waiting', 'true', 'job:42']);

  await publish(server, 'job:42', {
    name: 'Import',
    done: 12_483,
    total: 33_721,
    unit: 'files',
    rate: 1_204,
    elapsed_ms: 10_364,
    message: 'serde/src/lib.rs',
  });
  await state(page, 'running').waitFor();
  assert.deepEqual(await told(bar), ['37', '0', '100', '37%, Running', 'false', 'Import']);
  const text = await page.evaluate(() => document.querySelector('tide-progress')!.shadowRoot!.textContent);
  assert.match(text ?? '', /Import.*37%.*12,483 \/ 33,721 files.*1\.2K files\/s.*1\ds left.*serde/s);

  await publish(server, 'job:42', { name: 'Import', progress: 0.9, elapsed_ms: 28_000 }, { end: 'complete' });
  await state(page, 'complete').waitFor();
  assert.deepEqual(await told(bar), ['100', '0', '100', '100%, Complete', 'false', 'Import']);
  assert.equal(await page.getByRole('status').textContent(), 'Import: Complete');
  await page.waitForFunction('window.open === 0');
  assert.equal(await bar.getAttribute('aria-valuenow'), '100', 'what is over needs no connection');
  assert.deepEqual(problems, []);
});

test('elements share a connection, follow their attributes, and let go when they leave', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(
    t,
    '<tide-progress topic="job:1"></tide-progress><tide-progress topic="job:2" src="/"></tide-progress>',
  );
  await publish(server, 'job:1', { progress: 0.1 });
  await publish(server, 'job:2', { progress: 0.2 });
  await publish(server, 'job:3', { progress: 0.3 });
  const values = (): Promise<(string | null)[]> =>
    page.getByRole('progressbar').evaluateAll((bars) => bars.map((bar) => bar.getAttribute('aria-valuenow')));
  await page.waitForFunction(() => document.querySelectorAll('[state=running]').length === 2);
  assert.deepEqual(await values(), ['10', '20']);
  assert.equal(await page.evaluate('window.sockets'), 1);

  // Changed and moved within one task: one new subscription, on the same connection.
  await page.evaluate(() => {
    const first = document.querySelector('tide-progress')!;
    first.setAttribute('topic', 'job:3');
    document.body.append(first);
  });
  await page.waitForFunction(
    () => document.querySelectorAll('tide-progress')[1]!.getAttribute('state') === 'running',
  );
  assert.deepEqual(await values(), ['20', '30']);
  await publish(server, 'job:1', { progress: 0.99 });
  await publish(server, 'job:3', { progress: 0.5 });
  await page.waitForFunction(
    () =>
      document
        .querySelectorAll('tide-progress')[1]!
        .shadowRoot!.querySelector('[role=progressbar]')!
        .getAttribute('aria-valuenow') === '50',
  );
  assert.equal(await page.evaluate('window.sockets'), 1);
  await page.evaluate(() => document.body.replaceChildren());
  await page.waitForFunction('window.open === 0');
  assert.deepEqual(problems, []);
});

test('a lost server makes a running bar stale, and the next one brings it up to date', LIMIT, async (t) => {
  const server = await startServerAt(t, await freeAddress());
  const browser = await startBrowser(t);
  const { page } = await openPage(browser, server.url, '<tide-progress topic="job:1"></tide-progress>');
  await publish(server.url, 'job:1', { progress: 0.2 });
  await state(page, 'running').waitFor();
  await server.kill();
  await state(page, 'stale').waitFor();
  assert.equal(
    await page.getByRole('progressbar').getAttribute('aria-valuenow'),
    '20',
    'what is known stays',
  );
  await startServerAt(t, new URL(server.url).host);
  await state(page, 'waiting').or(state(page, 'running')).first().waitFor();
  await publish(server.url, 'job:1', { progress: 0.6 });
  await page.getByText('60%').waitFor();
});

test('a connection of one’s own is used, and its end is said', LIMIT, async (t) => {
  const { server, page } = await setUp(t, '');
  await publish(server, 'job:1', { progress: 0.3 });
  await page.evaluate(async () => {
    const { connect } = (await import(
      new URL('./index.js', location.href).href
    )) as typeof import('tidegate');
    const tide = connect('/');
    document.body.append(Object.assign(document.createElement('tide-progress'), { topic: 'job:1', tide }));
    Object.assign(window, { tide });
  });
  await state(page, 'running').getByText('30%').waitFor();
  assert.equal(await page.evaluate('window.sockets'), 1);
  await page.evaluate('window.tide.close()');
  await state(page, 'error').getByText('the connection was closed').waitFor();
});

test('a property that is null or undefined is absent, as frameworks mean it', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, '<tide-progress topic="job:1"></tide-progress>');
  await publish(server, 'job:1', { name: 'Import', progress: 0.3 });
  await state(page, 'running').waitFor();
  const set = (name: 'topic' | 'src' | 'label' | 'tide', value: null | undefined | string): Promise<void> =>
    page
      .locator('tide-progress')
      .evaluate((element, given) => void Object.assign(element, { [given[0]!]: given[1] }), [name, value]);
  for (const absent of [undefined, null]) {
    await set('label', 'Mine');
    await page.getByText('Mine', { exact: true }).waitFor();
    await set('label', absent);
    await page.getByText('Import', { exact: true }).waitFor();
    await set('src', server);
    await set('src', absent);
    await set('tide', absent);
    await state(page, 'running').waitFor();
    await set('topic', absent);
    const names = await page.locator('tide-progress').evaluate((element) => element.getAttributeNames());
    assert.deepEqual(names, ['state']);
    await set('topic', 'job:1');
    await state(page, 'running').waitFor();
  }
  assert.deepEqual(problems, []);
});

test('what is set before the element is defined counts', LIMIT, async (t) => {
  const { server, page } = await setUp(t, '');
  await publish(server, 'job:1', { progress: 0.3 });
  await page.evaluate(async () => {
    const { TideProgressElement } = (await import(
      new URL('./element.js', location.href).href
    )) as typeof import('tidegate/element');
    const early = document.createElement('early-progress');
    document.body.append(Object.assign(early, { topic: 'job:1' }));
    customElements.define('early-progress', class extends TideProgressElement {});
  });
  await page.locator('early-progress[state=running][topic="job:1"]').getByText('30%').waitFor();
});

test('a second copy of the package gives the class that is defined', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, '');
  await publish(server, 'job:1', { progress: 0.3 });
  await placePackage(page, `${server}/second`, {});
  await page.evaluate(async () => {
    await customElements.whenDefined('tide-progress');
    const second = new URL('/second/element.js', location.href).href;
    const { TideProgressElement } = (await import(second)) as typeof import('tidegate/element');
    const bar = new TideProgressElement();
    bar.topic = 'job:1';
    document.body.append(bar);
  });
  await state(page, 'running').getByText('30%').waitFor();
  assert.deepEqual(problems, []);
});

test('it is styled in another document that it is put into or moved to', LIMIT, async (t) => {
  const { server, page, problems } = await setUp(t, '<iframe></iframe>');
  await publish(server, 'job:1', { progress: 0.5 });
  const heights = await page.evaluate(async () => {
    await customElements.whenDefined('tide-progress');
    const other = document.querySelector('iframe')!.contentDocument!;
    const make = (to: Document): Element => {
      const element = document.createElement('tide-progress');
      element.setAttribute('topic', 'job:1');
      to.body.append(element);
      return element;
    };
    const [put, moved, back] = [make(other), make(document), make(other)];
    other.body.append(moved);
    document.body.append(back);
    return [put, moved, back].map((element) => {
      const bar = element.shadowRoot!.querySelector('.bar')!;
      return bar.ownerDocument.defaultView!.getComputedStyle(bar).height;
    });
  });
  assert.equal(new Set(heights).size, 1, heights.join());
  assert.match(heights[0]!, /^[1-9]/);
  const inside = page.frameLocator('iframe').locator('tide-progress[state=running]');
  await inside.nth(1).waitFor();
  assert.deepEqual(problems, []);
});

test(
  'what is read from right to left sweeps as well as what is read from left to right',
  LIMIT,
  async (t) => {
    const bar = '<tide-progress topic="job:1"></tide-progress>';
    const { server, page } = await setUp(t, `${bar}<div dir="rtl">${bar}</div>`);
    await publish(server, 'job:1', { message: 'no telling how far' });
    await page.waitForFunction(() => document.querySelectorAll('[state=running]').length === 2);
    const [toTheRight, toTheLeft] = await page.locator('.fill').evaluateAll((fills) =>
      fills.map((fill) => {
        const [sweep] = fill.getAnimations();
        const bar = fill.parentElement!.getBoundingClientRect();
        const isMirrored = getComputedStyle(fill).direction === 'rtl';
        return Array.from({ length: 16 }, (_, step) => {
          sweep!.pause();
          sweep!.currentTime = step * 100;
          const { left, right } = fill.getBoundingClientRect();
          return Math.round(isMirrored ? bar.right - right : left - bar.left);
        });
      }),
    );
    assert.deepEqual(toTheLeft, toTheRight);
  },
);

test('a topic that is none is said so, and the whole of it can be read', LIMIT, async (t) => {
  const { page } = await setUp(t, '<tide-progress topic="a::b" style="inline-size: 8rem"></tide-progress>');
  await state(page, 'error').waitFor();
  const message = page.locator('.message');
  assert.match((await message.textContent()) ?? '', /a::b.*segment/);
  assert.ok(await message.evaluate(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth));
  assert.match((await page.getByRole('progressbar').getAttribute('aria-valuetext')) ?? '', /Not available/);
});

test(
  'every state is drawn in the light, in the dark, in colours of the page and in forced ones',
  LIMIT,
  async (t) => {
    const server = await startServer(t);
    const body = ['wait', 'run', 'odd', 'done', 'broken', 'off']
      .map((name) => `<tide-progress topic="job:${name}" label="${name} of a job"></tide-progress>`)
      .join('');
    const job = { elapsed_ms: 63_000, message: 'what it says of itself' };
    await publish(server, 'job:run', {
      ...job,
      done: 1.26e9,
      total: 3.4e9,
      unit: 'bytes',
      rate: 12.4e6,
    });
    await publish(server, 'job:odd', { elapsed_ms: 63_000, message: 'no telling how far' });
    await publish(server, 'job:done', { ...job, done: 340, total: 340, unit: 'files' }, { end: 'complete' });
    await publish(server, 'job:broken', { progress: 0.4, elapsed_ms: 900, exit_code: 3 }, { end: 'failed' });
    await publish(server, 'job:off', { ...job, progress: 0.7 }, { end: 'cancelled' });
    const browser = await startBrowser(t);
    await mkdir(results, { recursive: true });
    for (const [name, options, isThemed] of [
      ['light', { colorScheme: 'light' }, false],
      ['dark', { colorScheme: 'dark' }, false],
      ['themed', { colorScheme: 'light', reducedMotion: 'reduce' }, true],
      ['forced', { forcedColors: 'active' }, false],
      ['narrow', { colorScheme: 'dark', viewport: { width: 300, height: 780 }, locale: 'ar' }, false],
    ] as const) {
      const themed = isThemed ? body.replaceAll('<tide-progress', '<tide-progress class="themed"') : body;
      const { page, problems } = await openPage(browser, server, themed, options);
      for (const shown of ['complete', 'failed', 'cancelled']) {
        await state(page, shown).waitFor();
      }
      await page.waitForFunction(() => document.querySelectorAll('[state=running]').length === 2);
      await page
        .locator('tide-progress .fill')
        .evaluateAll((fills) =>
          Promise.all(
            fills.flatMap((element) =>
              element.getAnimations().map((one) => one instanceof CSSTransition && one.finished),
            ),
          ),
        );
      const fill = page.locator('tide-progress[topic="job:run"]').locator('.fill');
      const colour = await fill.evaluate((element) => getComputedStyle(element).backgroundColor);
      const expected = {
        light: 'rgb(20, 112, 196)',
        dark: 'rgb(74, 168, 255)',
        themed: 'rgb(102, 51, 153)',
        narrow: 'rgb(74, 168, 255)',
      };
      if (name !== 'forced') {
        assert.equal(colour, expected[name]);
      }
      const moving = await page
        .locator('tide-progress[topic="job:odd"]')
        .locator('.fill')
        .evaluate((element) => element.getAnimations().length);
      assert.equal(moving > 0, name !== 'themed', 'only where motion is welcome');
      const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(width <= 0, 'nothing sticks out to the side');
      assert.deepEqual(problems, []);
      await page.screenshot({ path: join(results, `element-${name}.png`) });
      await page.close();
    }
  },
);
