/** The package as npm publishes it: it can be installed, imported and type-checked in another project. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The size limits of the core's modules, in KiB after gzip. */
const MODULE_KIB_MAX = {
  client: 54.5,
  follower: 60.8,
  worker: 55.1,
  tabs: 78.3,
  hub: 44,
  tidegate_bg: 95.6,
};

const CONSUMER = `
import { connect, createHub, debounce, TidegateError, throttle } from 'tidegate';

const hub = createHub();
using subscription = hub.subscribe('job:*', { throttle: '1s' }, (update) => console.log(update.topic));
hub.publish('job:1', { progress: 1 });
const fn = throttle((n: number) => n * 2, 10);
const result: number | undefined = fn(21);
console.log(result, subscription.active, typeof connect, typeof debounce, TidegateError.name);
`;

/** All entries with types, for a project with old type libraries that also checks its dependencies' types. */
const CAREFUL_CONSUMER = `
export * as all from 'tidegate';
export * as chart from 'tidegate/chart';
export * as element from 'tidegate/element';
export * as elementReact from 'tidegate/element/react';
export * as inline from 'tidegate/inline';
export * as progress from 'tidegate/progress';
export * as react from 'tidegate/react';
`;

/** A program for Node only, without the types of browsers. */
const NODE_CONSUMER = `
import { readFileSync } from 'node:fs';
import { connect, createHub, ready } from 'tidegate';
export * as inline from 'tidegate/inline';
export * as progress from 'tidegate/progress';

await ready({ wasm: readFileSync('hub.wasm') });
createHub().subscribe('job:1', ({ data }) => console.log(data));
connect('http://127.0.0.1:8420', { client: process.env['CLIENT'] }).close();
`;

test('the packed package installs, imports and type-checks in another project', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-consumer-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root });
  const packed = Object.values(
    JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>,
  );
  const { filename, files } = packed[0]!;
  const paths = files.map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path) => path.startsWith('dist/wasm/')).sort(),
    ['client', 'follower', 'hub', 'tabs', 'tidegate_bg', 'worker'].map((name) => `dist/wasm/${name}.wasm`),
  );
  for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT']) {
    assert.ok(paths.includes(licence), licence);
    const texts = await Promise.all(
      [root, join(root, '..')].map((at) => readFile(join(at, licence), 'utf8')),
    );
    assert.equal(texts[0], texts[1], `${licence} is that of the repository`);
  }
  assert.deepEqual(
    paths.filter((path) => /test|dashboard|src\//.test(path)),
    [],
  );

  await writeFile(join(folder, 'package.json'), '{"name": "consumer", "type": "module", "private": true}');
  const offline = ['--offline', '--no-audit', '--no-fund', '--no-save'];
  await run('npm', ['install', ...offline, '--omit=peer', join(folder, filename)], { cwd: folder });

  await writeFile(join(folder, 'main.ts'), CONSUMER);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'esnext,dom'];
  await run('node', [compiler, ...options, '--types', '', 'main.ts'], { cwd: folder });

  await writeFile(join(folder, 'careful.ts'), CAREFUL_CONSUMER);
  await symlink(join(root, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  const careful = ['--skipLibCheck', 'false', '--noEmit', '--lib', 'es2022,dom,dom.iterable'];
  const types = await run('node', [compiler, ...options, ...careful, '--types', '', 'careful.ts'], {
    cwd: folder,
  }).catch((failed: { stdout: string }) => failed);
  assert.equal(types.stdout, '');

  await writeFile(join(folder, 'node.ts'), NODE_CONSUMER);
  const onNode = ['--skipLibCheck', 'false', '--exactOptionalPropertyTypes', '--noEmit', '--lib', 'es2023'];
  const nodeTypes = await run('node', [compiler, ...options, ...onNode, '--types', 'node', 'node.ts'], {
    cwd: folder,
  }).catch((failed: { stdout: string }) => failed);
  assert.equal(nodeTypes.stdout, '');

  const main = await run('node', ['main.js'], { cwd: folder });
  assert.equal(main.stdout, 'job:1\n42 true function function TidegateError\n');
});

test('the lock file names no address to download from', async () => {
  const lock = await readFile(join(root, 'package-lock.json'), 'utf8');
  assert.doesNotMatch(lock, /"resolved"/);
});

test('module and code stay within their budget', async () => {
  const weigh = async (path: string): Promise<number> =>
    gzipSync(await readFile(join(root, path)), { level: 9 }).length / 1024;
  const bundle = await weigh('dist/dashboard/dashboard.js');
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  for (const [name, most] of Object.entries(MODULE_KIB_MAX)) {
    const module = await weigh(`dist/wasm/${name}.wasm`);
    assert.ok(module <= most, `${name}.wasm weighs ${module.toFixed(1)} KiB gzip`);
    const [, stated] = readme.match(new RegExp(`^\\| \`${name}\\.wasm\` \\|.*\\| (\\d+) \\|$`, 'm')) ?? [];
    const difference = Math.abs(module - Number(stated));
    assert.ok(
      difference <= 1,
      `README.md says that ${name}.wasm weighs ${stated} KiB, and it weighs ${module.toFixed(1)}`,
    );
  }
  assert.ok(bundle <= 28.1, `the dashboard with the package weighs ${bundle.toFixed(1)} KiB gzip`);
});
