/** Test environments that lack parts of a browser. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Imports the package after running `before`, and returns the outcome. */
async function importedAfter(before: string): Promise<string> {
  const script = `${before}; await import('tidegate').then(() => console.log('fine'), ({ code, message }) => console.log(code, message));`;
  const { stdout } = await run('node', ['--input-type=module', '--eval', script], { cwd: root });
  return stdout.trim();
}

test('where there is no TextEncoder, an error says how to come by one, and that helps', async () => {
  const hide = 'delete globalThis.TextEncoder; delete globalThis.TextDecoder';
  assert.match(
    await importedAfter(hide),
    /^load_failed no TextEncoder: take it from `node:util`, in Jest in `setupFiles`$/,
  );
  const taken = "const { TextDecoder, TextEncoder } = await import('node:util')";
  const set = 'Object.assign(globalThis, { TextDecoder, TextEncoder })';
  assert.equal(await importedAfter(`${hide}; ${taken}; ${set}`), 'fine');
});
