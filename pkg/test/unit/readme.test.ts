/** The examples of the README are code that compiles against the package's types. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { readExamples } from '../support/readme.js';
import { packageRoot } from '../support/server.js';

const run = promisify(execFile);

/** What the examples take for granted: the reader's own code, and imports of earlier examples. */
const GRANTED = `
import type { connect as connectOfPackage, EndReason, Tide } from 'tidegate';

declare global {
  interface Job { readonly progress: number }
  const token: string;
  const bar: { value: number };
  const rows: { get(topic: string): { show(job: Job, end: EndReason | undefined): void } };
  const connect: typeof connectOfPackage;
  const tide: Tide;
  function draw(...drawn: unknown[]): void;
  function toast(text: string): void;
  function show(topic: string, data: unknown): void;
  function store(draft: string): void;
}
`;

const WASM_AS_FILE =
  "declare module 'tidegate/tabs.wasm' { const address: string; export default address; }\n";

test('the examples of the README compile', async (t) => {
  const folder = join(packageRoot, 'dist-test/readme');
  await mkdir(folder, { recursive: true });
  t.after(() => rm(folder, { recursive: true, force: true }));
  const examples = (await readExamples()).filter(({ language }) => language === 'ts' || language === 'tsx');
  assert.ok(examples.length >= 6, `${examples.length} examples`);
  await writeFile(join(folder, 'granted.d.ts'), GRANTED);
  await writeFile(join(folder, 'wasm.d.ts'), WASM_AS_FILE);
  for (const [index, { language, code }] of examples.entries()) {
    await writeFile(join(folder, `example-${index + 1}.${language}`), code);
  }
  const options = {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2022',
    lib: ['esnext', 'dom', 'dom.iterable'],
    jsx: 'react-jsx',
    types: [],
    skipLibCheck: true,
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
  const compiler = join(packageRoot, 'node_modules/typescript/bin/tsc');
  const result = await run('node', [compiler, '-p', folder]).catch((failed: { stdout: string }) => failed);
  assert.equal(result.stdout, '');
});
