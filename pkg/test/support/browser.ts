import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { TestContext } from 'node:test';

import { type Browser, chromium, type Page } from 'playwright-core';

import { chromiumPath, packageRoot } from './server.js';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Files that a test serves in place of a server's count as another network's, which may not reach 127.0.0.1.
  '--disable-features=LocalNetworkAccessChecks',
];

/** Starts a browser that is closed when the test is over. */
export async function startBrowser(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ARGUMENTS });
  t.after(() => browser.close());
  return browser;
}

/** Collects a page's uncaught errors, and the errors on its console. */
export function complaints(page: Page): string[] {
  const seen: string[] = [];
  page.on('pageerror', (error) => seen.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      seen.push(message.text());
    }
  });
  return seen;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Puts the built package, and `files` beside it, at `base` for everything that the page loads. */
export async function placePackage(
  page: Page,
  base: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await page.context().route(`${base}/**`, async (route) => {
    const path = new URL(route.request().url()).pathname.slice(new URL(base).pathname.length + 1);
    const body = files[path] ?? (await readFile(join(packageRoot, 'dist', path)).catch(() => undefined));
    if (body === undefined) {
      await route.fulfill({ status: 404 });
    } else {
      await route.fulfill({ body, contentType: CONTENT_TYPES[extname(path)] ?? 'text/html' });
    }
  });
}
