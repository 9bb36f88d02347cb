/** The dashboard for those who listen to it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { complaints, startBrowser } from '../support/browser.js';
import { publish, startServer } from '../support/server.js';

/** What hangs has failed. */
const LIMIT = { timeout: 60_000 };

test('each button that copies says what', LIMIT, async (t) => {
  const server = await startServer(t);
  const context = await (await startBrowser(t)).newContext({ permissions: ['clipboard-write'] });
  const page = await context.newPage();
  const problems = complaints(page);
  await page.goto(server);
  const button = page.getByRole('button', { name: 'Copy the command', exact: true });
  await button.click();
  await page.getByText('Copied').waitFor();
  await page.getByRole('button', { name: 'Copy the request', exact: true }).click();
  await button.waitFor();
  assert.deepEqual(problems, []);
});

test('jobs that end together are all announced, up to a number that can be listened to', LIMIT, async (t) => {
  const server = await startServer(t);
  const page = await (await startBrowser(t)).newPage();
  await page.goto(server);
  const jobs = ['One', 'Two', 'Three', 'Four', 'Five', 'Six'];
  for (const name of jobs) {
    await publish(server, `job:${name}`, { name, progress: 0.5 });
  }
  await page.locator('#running li').nth(5).waitFor();
  const announced = page.locator('#announcer > *');
  await publish(server, 'job:One', { name: 'One' }, { end: 'complete' });
  await publish(server, 'job:Two', { name: 'Two', message: 'No room.' }, { end: 'failed' });
  await announced.nth(1).waitFor({ state: 'attached' });
  assert.deepEqual(await announced.allTextContents(), ['One is complete.', 'Two failed. No room.']);
  for (const name of jobs.slice(2)) {
    await publish(server, `job:${name}`, { name }, { end: 'cancelled' });
  }
  await announced.filter({ hasText: 'Six was cancelled.' }).waitFor({ state: 'attached' });
  assert.equal((await announced.allTextContents()).length, 5);
});
