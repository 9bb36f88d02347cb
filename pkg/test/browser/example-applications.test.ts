/** The pages of the example applications, used as people use them. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import type { Page } from 'playwright-core';

import { complaints, startBrowser } from '../support/browser.js';
import { packageRoot, startExample } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const results = join(packageRoot, 'test-results');

interface Window {
  readonly page: Page;
  /** Checks that there are no errors, and that nothing overflows on a phone; takes a screenshot. */
  check(): Promise<void>;
}

/**
 * Opens an application's page in the light theme, and the same or another one in the dark theme, each as a different
 * user.
 */
async function twoWindows(
  t: TestContext,
  name: string,
  light: string,
  dark = light,
): Promise<[Window, Window]> {
  const browser = await startBrowser(t);
  const open = async (url: string, colorScheme: 'light' | 'dark'): Promise<Window> => {
    const page = await browser.newPage({ viewport: { width: 900, height: 620 }, colorScheme });
    const problems = complaints(page);
    await page.goto(url);
    const check = async (): Promise<void> => {
      await mkdir(results, { recursive: true });
      await page.screenshot({ path: join(results, `example-${name}-${colorScheme}.png`) });
      await page.setViewportSize({ width: 380, height: 720 });
      const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(width <= 0, 'nothing sticks out to the side');
      assert.deepEqual(problems, []);
    };
    return { page, check };
  };
  return [await open(light, 'light'), await open(dark, 'dark')];
}

test('the job queue shows all jobs to all who look, and calls one off', LIMIT, async (t) => {
  const [one, two] = await twoWindows(t, 'job-queue', await startExample(t, 'job_queue'));
  const order = one.page.getByRole('button', { name: 'Order a job' });
  await one.page.getByRole('button', { name: 'that panics' }).click();
  for (let count = 0; count < 5; count++) {
    await order.click();
  }
  await two.page.locator('#working li').nth(1).waitFor();
  await two.page.locator('#waiting li').getByRole('button', { name: 'Cancel' }).last().click();
  for (const { page } of [one, two]) {
    await page.locator('#finished').getByText('Cancelled').waitFor();
    await page.locator('#finished').getByText('the job panicked').waitFor();
  }
  await one.check();
  await two.check();
});

test('a background job is triggered in one window and arrives in two', LIMIT, async (t) => {
  const url = await startExample(t, 'background_jobs');
  const [one, two] = await twoWindows(t, 'background-jobs', url);
  await one.page.getByLabel('Report').fill('Visitors');
  await one.page.getByLabel('Pages').fill('12');
  await one.page.getByRole('button', { name: 'Write it' }).click();
  for (const { page } of [one, two]) {
    const row = page.locator('#reports li').filter({ hasText: 'Visitors' });
    await row.getByText('complete').waitFor();
    await row.getByText('12 / 12 pages').waitFor();
    await page.getByLabel('/debug').getByText('"status":"COMPLETE"').waitFor();
  }
  await one.check();
  await two.check();
});

test('two people talk about a task, and each is told what concerns them', LIMIT, async (t) => {
  const [ada, ben] = await twoWindows(t, 'task-chat', await startExample(t, 'task_chat'));
  await ada.page.getByRole('button', { name: 'ada' }).click();
  await ada.page.getByLabel('A new task').fill('Book the hall');
  await ada.page.getByRole('button', { name: 'Add' }).click();
  await ada.page.getByRole('button', { name: 'Book the hall' }).click();
  const say = async (page: Page, text: string): Promise<void> => {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('log').getByText(text).waitFor();
  };
  await say(ada.page, 'Is it free on Friday?');
  await ben.page.getByRole('button', { name: 'ben' }).click();
  await ben.page.getByRole('button', { name: 'Book the hall' }).click();
  await ben.page.getByRole('log').getByText('Is it free on Friday?').waitFor();
  await say(ben.page, 'From six on. @ada shall I sign?');
  await ada.page.locator('#bell').getByText('ben: From six on.').waitFor();
  await ada.page.getByRole('log').getByText('From six on.').waitFor();
  await ada.page.getByRole('button', { name: 'Complete' }).click();
  for (const { page } of [ada, ben]) {
    await page.getByRole('log').getByText('completed the task').waitFor();
    assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
    assert.equal(await page.getByRole('log').getByRole('listitem').count(), 4, 'nothing is shown twice');
  }
  await ada.page.locator('#bell').getByText('completed: Book the hall').waitFor();

  // Ada finds everything that concerned her while she was away.
  await ada.page.getByLabel('A new task').fill('Order flowers');
  await ada.page.getByRole('button', { name: 'Add' }).click();
  await ben.page.getByRole('button', { name: 'Order flowers' }).click();
  const address = ada.page.url();
  await ada.page.goto('about:blank');
  await say(ben.page, '@ada tulips?');
  await ada.page.goto(address);
  await ada.page.getByRole('button', { name: 'ada' }).click();
  await ada.page.locator('#bell').getByText('ben: @ada tulips?').waitFor();
  await ada.check();
  await ben.check();
});

test('a run of one program is drawn by the page of another one that shares its file', LIMIT, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-runs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const shared = { TIDEGATE_BACKEND: `sqlite:${join(folder, 'runs.db')}` };
  const [one, other] = [
    await startExample(t, 'run_events', shared),
    await startExample(t, 'run_events', shared),
  ];
  const [here, there] = await twoWindows(t, 'run-events', one, other);
  await here.page.getByRole('button', { name: 'that fails' }).click();
  await here.page.getByRole('button', { name: 'Start a run' }).click();
  for (const { page } of [here, there]) {
    await page.getByText(/sqlite file .*runs\.db/).waitFor();
    const hasty = page.locator('#runs li.row').filter({ hasText: 'Hasty model' });
    await hasty.getByText('failed').waitFor();
    await hasty.getByText('the loss is not a number at step 35').waitFor();
    const small = page.locator('#runs li.row').filter({ hasText: 'Small model' });
    await small.getByText('complete').waitFor();
    const points = (await small.locator('polyline').getAttribute('points')) ?? '';
    assert.equal(points.split(' ').length, 80, 'every event has come');
  }
  await here.check();
  await there.check();
});
