/**
 * `npm run size [-- FOLDER]`: how many bytes a page loads for each entry of the built package, and what they are for.
 *
 * FOLDER has the modules as the compiler leaves them, with function names; by default, it is that of the last `cargo
 * xtask wasm`. Without it, the origins of the code are not shown.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

import { codeByOrigin, sections } from './wasm-size.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Typical imports, and the modules of the core that a page then loads. */
const ENTRIES = [
  ["tidegate: connect, tabs: 'off'", "export { connect } from 'tidegate'", ['client']],
  ['tidegate: connect, a worker leads', "export { connect } from 'tidegate'", ['follower']],
  ['  that worker, once for all tabs', "import './dist/tabs/worker.js'", ['worker']],
  ['tidegate: connect, a tab leads', "export { connect } from 'tidegate'", ['tabs']],
  ['tidegate: createHub', "export { createHub, ready } from 'tidegate'", ['hub']],
  ['tidegate: throttle, debounce', "export { debounce, ready, throttle } from 'tidegate'", ['hub']],
  ['tidegate: everything', "export * from 'tidegate'", ['client', 'hub']],
  ['tidegate/react', "export * from 'tidegate/react'", []],
  [
    'tidegate/react, connect',
    "export * from 'tidegate/react'; export { connect } from 'tidegate'",
    ['client'],
  ],
  ['tidegate/element', "import 'tidegate/element'", ['client']],
  ['tidegate/progress', "export * from 'tidegate/progress'", []],
  ['tidegate/chart', "export * from 'tidegate/chart'", []],
  ['tidegate/inline: connect', "export { connect } from 'tidegate/inline'", []],
];

/** The modules of {@link ENTRIES}, and the one with everything. */
const MODULES = ['client', 'follower', 'worker', 'tabs', 'hub', 'tidegate_bg'];

/** The optimizer's options for the package, but with names kept. */
const OPTIMIZER_OPTIONS = [
  '-Oz',
  '-g',
  '--enable-bulk-memory',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
  '--enable-mutable-globals',
  '--enable-reference-types',
  '--enable-multivalue',
];

const kib = (bytes) => (bytes / 1024).toFixed(1).padStart(8);
const gzip = (bytes) => gzipSync(bytes, { level: 9 }).length;
const brotli = (bytes) => brotliCompressSync(bytes).length;
const print = (...cells) => process.stdout.write(`${cells.join('')}\n`);
const row = (name, ...sizes) => print(name.padEnd(44), ...sizes.map(kib));

async function bundle(contents) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['react'],
    write: false,
    metafile: true,
    logLevel: 'error',
  });
  return { code: outputFiles[0].contents, inputs: Object.values(metafile.outputs)[0].inputs };
}

const modules = new Map();
for (const name of MODULES) {
  modules.set(name, await readFile(`${root}dist/wasm/${name}.wasm`));
}

print('KiB'.padEnd(44), '     raw    gzip  brotli   with the core: gzip  brotli');
for (const [name, contents, needed] of ENTRIES) {
  const { code } = await bundle(contents);
  const sum = (pack) => needed.reduce((total, it) => total + pack(modules.get(it)), pack(code));
  const withCore = needed.length > 0 ? [' '.repeat(12), kib(sum(gzip)), kib(sum(brotli))] : [];
  print(name.padEnd(44), ...[code.length, gzip(code), brotli(code)].map(kib), ...withCore);
}
for (const [name, module] of modules) {
  row(`${name}.wasm`, module.length, gzip(module), brotli(module));
}

print('\nThe code of `connect`, by module (minified, before compression)');
const { inputs } = await bundle(ENTRIES[0][1]);
for (const [path, { bytesInOutput }] of Object.entries(inputs).sort(
  ([, one], [, other]) => other.bytesInOutput - one.bytesInOutput,
)) {
  row(`  ${path.replace('dist/', '')}`, bytesInOutput);
}

for (const [name, module] of modules) {
  print(`\n${name}.wasm, by section (raw, gzip by itself)`);
  const largest = sections(module).sort((one, other) => other.bytes.length - one.bytes.length);
  for (const { name: section, bytes } of largest.slice(0, 5)) {
    row(`  ${section}`, bytes.length, gzip(bytes));
  }
  await printOrigins(name);
}

/** Prints the origins of a module's code, if the compiler's output is there. */
async function printOrigins(name) {
  const target = process.env.CARGO_TARGET_DIR ?? `${root}../target`;
  const compiled = join(process.argv[2] ?? `${target}/wasm-build`, `${name}.wasm`);
  if (!existsSync(compiled)) {
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-size-'));
  try {
    const named = join(folder, 'named.wasm');
    execFileSync(`${root}node_modules/.bin/wasm-opt`, [...OPTIMIZER_OPTIONS, compiled, '-o', named]);
    print('  the code, by where it comes from');
    const { total, origins } = codeByOrigin(await readFile(named));
    for (const [origin, bytes] of origins.filter(([, size]) => size > total / 100)) {
      print(`    ${origin}`.padEnd(44), kib(bytes), `${((100 * bytes) / total).toFixed(1)} %`.padEnd(9));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}
