/** The dashboard of a server that requires tokens. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { publishAs, startAskingServer } from '../support/asking-server.js';
import { complaints, startBrowser } from '../support/browser.js';
import { packageRoot } from '../support/server.js';
import { token } from '../support/tokens.js';

const LIMIT = { timeout: 60_000 };
const results = join(packageRoot, 'test-results');

/** How long a short-lived token lasts, in seconds: longer than a busy browser takes to show the jobs. */
const LASTS_S = 12;

async function signIn(page: Page, text: string): Promise<void> {
  await page.getByLabel('Token').fill(text);
  await page.getByRole('button', { name: 'Watch' }).click();
}

const live = (page: Page): Promise<void> => page.getByRole('status').filter({ hasText: 'Live' }).waitFor();

test('the page asks for a token, says what is wrong with one, and keeps a good one', LIMIT, async (t) => {
  const server = await startAskingServer(t);
  const good = token({ sub: 'ada', subscribe: ['job:**'], publish: ['**'] });
  await publishAs(server, good, 'job:1', { name: 'One', progress: 0.3 });
  const browser = await startBrowser(t);
  await mkdir(results, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, colorScheme });
    const page = await context.newPage();
    const problems = complaints(page);
    await page.goto(server);
    await page.getByText('Who is watching?').waitFor();
    assert.equal(await page.getByRole('alert').textContent(), '');
    await page.screenshot({ path: join(results, `dashboard-login-${colorScheme}.png`) });

    await signIn(page, 'forged');
    await page.getByRole('alert').filter({ hasText: 'does not accept this token' }).waitFor();
    await signIn(page, token({ exp: 1_000_000_000, subscribe: ['job:**'] }));
    await page.getByRole('alert').filter({ hasText: 'has expired' }).waitFor();
    await signIn(page, token({ sub: 'bob', subscribe: ['task:**'] }));
    await page.getByRole('alert').filter({ hasText: 'may not follow' }).waitFor();
    await page.screenshot({ path: join(results, `dashboard-login-refused-${colorScheme}.png`) });
    assert.equal(await page.getByText('Nothing is running yet').isVisible(), false);

    await signIn(page, ` ${good}\n`);
    await page.getByText('30%').waitFor();
    await live(page);
    assert.equal(await page.getByText('Who is watching?').isVisible(), false);
    await page.reload();
    await page.getByText('30%').waitFor();
    await live(page);

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('Who is watching?').waitFor();
    assert.deepEqual(
      [await page.locator('li.job').count(), await page.title()],
      [0, 'Tidegate'],
      'nothing is left of what was shown',
    );
    for (const title of ['Running', 'Finished', 'Nothing is running yet']) {
      assert.equal(await page.getByRole('heading', { name: title }).isVisible(), false, title);
    }
    await page.reload();
    await page.getByText('Who is watching?').waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  }
});

test(
  'a token that ends while the page is open brings the question back, and what was shown stays',
  LIMIT,
  async (t) => {
    const server = await startAskingServer(t);
    const good = token({ sub: 'ada', subscribe: ['job:**'], publish: ['**'] });
    await publishAs(server, good, 'job:1', { name: 'One', progress: 0.3 });
    const browser = await startBrowser(t);
    const page = await browser.newPage();
    await page.goto(server);
    await signIn(
      page,
      token({ sub: 'ada', exp: Math.floor(Date.now() / 1000) + LASTS_S, subscribe: ['job:**'] }),
    );
    await page.getByText('30%').waitFor();
    await page.getByRole('alert').filter({ hasText: 'has expired' }).waitFor();
    assert.equal(await page.getByText('30%').isVisible(), true);
    await signIn(page, token({ sub: 'bob', subscribe: ['task:**'] }));
    await page.getByRole('alert').filter({ hasText: 'may not follow' }).waitFor();
    assert.equal(await page.locator('li.job').count(), 0, 'another reader is not shown it');
    await publishAs(server, good, 'job:1', { name: 'One', progress: 0.6 });
    await signIn(page, good);
    await page.getByText('60%').waitFor();
  },
);
