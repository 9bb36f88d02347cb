/** The first pages of the README, verbatim: installed from a tarball, they show what is published. */

import assert from 'node:assert/strict';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';
import * as vite from 'vite';

import { complaints, startBrowser } from '../support/browser.js';
import { startFront } from '../support/front.js';
import { installPacked } from '../support/packed.js';
import { freeAddress, freePort } from '../support/ports.js';
import { readExamples } from '../support/readme.js';
import { packageRoot, publish, startServer, startServerAt } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 120_000 };

/** The server's address in the README. */
const README_SERVER = 'http://127.0.0.1:8420';

/** The first example in a language that has these words in it. */
async function example(language: string, words: string): Promise<string> {
  const examples = await readExamples();
  return examples.find((one) => one.language === language && one.code.includes(words))!.code;
}

async function openPage(t: TestContext, url: string): Promise<{ page: Page; problems: string[] }> {
  const page = await (await startBrowser(t)).newPage();
  const problems = complaints(page);
  await page.goto(url);
  return { page, problems };
}

/** Starts Vite's server for developing on these files. Returns its address. */
async function develop(
  t: TestContext,
  root: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  await mkdir(root);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(root, name), text);
  }
  await mkdir(join(root, 'node_modules'));
  await symlink(join(packageRoot, 'node_modules/vite'), join(root, 'node_modules/vite'));
  const port = await freePort();
  const developing = await vite.createServer({
    root,
    logLevel: 'warn',
    clearScreen: false,
    server: { host: '127.0.0.1', port },
  });
  t.after(() => developing.close());
  await developing.listen();
  return `http://127.0.0.1:${port}/`;
}

test('with Vite and React', LIMIT, async (t) => {
  const server = await startServer(t);
  const root = join(await installPacked(t), 'first-page');
  const files = {
    'index.html':
      '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/main.tsx"></script>',
    'main.tsx': await example('tsx', 'createRoot'),
    'vite.config.ts': (await example('ts', 'defineConfig')).replace(README_SERVER, server),
    // As in Vite's own template for React.
    'tsconfig.json': '{ "compilerOptions": { "jsx": "react-jsx" } }',
  };
  const url = await develop(t, root, files);
  await publish(server, 'job:42', { progress: 0.5 });
  const { page, problems } = await openPage(t, url);
  await page.locator('progress[value="0.5"][title="live"]').waitFor();
  await publish(server, 'job:42', { progress: 1 }, { end: 'complete' });
  await page.locator('progress[value="1"][title="ended"]').waitFor();
  assert.deepEqual(problems, []);
});

test(
  'with Vite, a module that was edited closes the connection of its previous version',
  LIMIT,
  async (t) => {
    const server = await startServer(t);
    const root = join(await installPacked(t), 'first-page');
    const tide = await example('js', 'import.meta.hot');
    const url = await develop(t, root, {
      'index.html':
        '<!doctype html><link rel="icon" href="data:,"><ul></ul><script type="module" src="/main.js"></script>',
      'tide.js': `import { connect } from 'tidegate';\n${tide}`,
      'main.js': `import { tide } from './tide.js';
      const shown = document.querySelector('ul').appendChild(document.createElement('li'));
      tide.on('state', ({ status }) => { shown.textContent = status; });
      tide.subscribe('job:42', () => {});
      import.meta.hot.accept();`,
      'vite.config.ts': (await example('ts', 'defineConfig')).replace(README_SERVER, server),
    });
    const { page, problems } = await openPage(t, url);
    await page.locator('li:text-is("connected")').waitFor();
    await writeFile(join(root, 'tide.js'), `import { connect } from 'tidegate';\n${tide}// edited\n`);
    await page.locator('li:text-is("closed") + li:text-is("connected")').waitFor();
    assert.equal(await page.locator('li').count(), 2);
    assert.deepEqual(problems, []);
  },
);

test('without a bundler', LIMIT, async (t) => {
  const installed = await installPacked(t);
  const folder = join(installed, 'first-page');
  await mkdir(folder);
  await cp(join(installed, 'node_modules/tidegate/dist'), join(folder, 'tidegate'), { recursive: true });
  const address = await freeAddress();
  const text = (await example('html', 'importmap')).replaceAll(README_SERVER, `http://${address}`);
  const icon = '<!doctype html><link rel="icon" href="data:,">';
  await writeFile(join(folder, 'index.html'), text.replace('<!doctype html>', icon));
  const front = await startFront(t, folder, `http://${address}`);
  const { url } = await startServerAt(t, address, 'memory', ['--origin', front]);
  await publish(url, 'job:42', { progress: 0.5 });
  const { page, problems } = await openPage(t, `${front}/`);
  await page.locator('tide-progress[state=running]').getByText('50%').waitFor();
  await publish(url, 'job:42', { progress: 1 }, { end: 'complete' });
  await page.locator('tide-progress[state=complete]').waitFor();
  assert.deepEqual(problems, []);
});
