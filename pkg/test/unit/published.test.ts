/** What the dashboard counts of topics by their offsets. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { build } from 'esbuild';

import { packageRoot } from '../support/server.js';

interface Counting {
  readonly total: number;
  note(at: { readonly topic: string; readonly epoch: number; readonly offset: number }): void;
}

async function counting(): Promise<Counting> {
  const { outputFiles } = await build({
    entryPoints: [join(packageRoot, 'dashboard/published.ts')],
    format: 'esm',
    write: false,
  });
  const address = `data:text/javascript,${encodeURIComponent(outputFiles[0]!.text)}`;
  const { Published } = (await import(address)) as { Published: new () => Counting };
  return new Published();
}

test('what was published between two updates is counted, also where a topic began anew', async () => {
  const published = await counting();
  published.note({ topic: 'a', epoch: 1, offset: 40 });
  published.note({ topic: 'b', epoch: 1, offset: 7 });
  assert.equal(published.total, 0, 'what was there before is not of this page');
  published.note({ topic: 'a', epoch: 1, offset: 45 });
  published.note({ topic: 'a', epoch: 1, offset: 44 });
  assert.equal(published.total, 5);
  published.note({ topic: 'b', epoch: 2, offset: 3 });
  assert.equal(published.total, 8);
});

test('a page that is left open for weeks remembers a limited number of topics', async () => {
  const published = await counting();
  for (let number = 0; number <= 10_000; number += 1) {
    published.note({ topic: `job:${number}`, epoch: 1, offset: 1 });
  }
  published.note({ topic: 'job:1', epoch: 1, offset: 9 });
  assert.equal(published.total, 0, 'it was forgotten');
  published.note({ topic: 'job:1', epoch: 1, offset: 10 });
  assert.equal(published.total, 1, 'and is counted from where it was heard of again');
});
