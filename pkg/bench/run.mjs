/**
 * `npm run bench [-- publish throttles receive]`: compares the package with others for the same purpose, in Node and in
 * Chromium.
 *
 * `CHROMIUM` is the path of the browser, if not `/usr/bin/chromium`; without a browser, only Node is measured.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('..', import.meta.url));
const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const cases = process.argv.slice(2);

/** Bundles the suite into one program, which loads the core's modules from `wasm/` beside it. */
async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [`${root}bench/suite.mjs`],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
    logLevel: 'warning',
  });
  return outputFiles[0].text;
}

async function inNode(code) {
  const path = `${root}dist/bench.mjs`;
  await writeFile(path, code);
  try {
    const program = `import { suite } from ${JSON.stringify(pathToFileURL(path).href)};
      console.log(JSON.stringify(await suite(${JSON.stringify(cases)}))); process.exit();`;
    const options = { maxBuffer: 2 ** 24, stdio: ['ignore', 'pipe', 'inherit'] };
    const flags = ['--expose-gc', '--input-type=module', '--eval', program];
    return JSON.parse(execFileSync(process.execPath, flags, options).toString());
  } finally {
    await rm(path);
  }
}

async function inChromium(code) {
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: ['--no-sandbox', '--disable-gpu', '--js-flags=--expose-gc', '--enable-precise-memory-info'],
  });
  try {
    const page = await browser.newPage();
    await page.route('http://localhost/**', async (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/suite.js') {
        await route.fulfill({ body: code, contentType: 'text/javascript' });
      } else if (pathname.endsWith('.wasm')) {
        await route.fulfill({
          body: await readFile(`${root}dist${pathname}`),
          contentType: 'application/wasm',
        });
      } else {
        await route.fulfill({ body: '<!doctype html>', contentType: 'text/html' });
      }
    });
    await page.goto('http://localhost/');
    const load = "import('/suite.js')";
    const tables = await page.evaluate(`${load}.then(({ suite }) => suite(${JSON.stringify(cases)}))`);
    return { tables, version: browser.version() };
  } finally {
    await browser.close();
  }
}

function print(where, tables) {
  const lines = [`\n${where}`];
  for (const { title, rows } of tables) {
    const names = Object.keys(rows[0].taken);
    const cells = (first, rest) => `${first.padEnd(22)}${rest.map((cell) => cell.padStart(22)).join('')}`;
    lines.push('', cells(title.length > 21 ? `${title}\n` : title, names));
    for (const { what, unit, taken, against } of rows) {
      const figure = (name) => {
        const ratio = (taken[name] / taken[against]).toFixed(2);
        return `${taken[name].toFixed(taken[name] < 100 ? 1 : 0)} ${unit} (${ratio} x)`;
      };
      lines.push(cells(what, names.map(figure)));
    }
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

const code = await bundle();
const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
print(`Node ${process.versions.node}, ${machine}`, await inNode(code));
if (existsSync(chromiumPath)) {
  const { tables, version } = await inChromium(code);
  print(`Chromium ${version}, ${machine}`, tables);
}
