/**
 * `npm run size [-- GENERATOR MODULE]`: what each entry of the built package weighs for a page, and what the bytes are for.
 *
 * GENERATOR makes the bindings of MODULE, the core as the compiler leaves it; by default those of the last
 * `cargo xtask wasm`. Without them it is not told whose code the core holds.
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

/** What people import, and whether it needs the core's file. */
const ENTRIES = [
  ['tidegate: connect', "export { connect } from 'tidegate'", true],
  ['tidegate: createHub', "export { createHub, ready } from 'tidegate'", true],
  ['tidegate: throttle, debounce', "export { debounce, ready, throttle } from 'tidegate'", true],
  ['tidegate: everything', "export * from 'tidegate'", true],
  ['tidegate/react', "export * from 'tidegate/react'", false],
  ['tidegate/react, connect', "export * from 'tidegate/react'; export { connect } from 'tidegate'", true],
  ['tidegate/element', "import 'tidegate/element'", true],
  ['tidegate/progress', "export * from 'tidegate/progress'", false],
  ['tidegate/inline: connect', "export { connect } from 'tidegate/inline'", false],
];

/** As the package is optimized, but with names kept. */
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

const module = await readFile(`${root}dist/wasm/tidegate_bg.wasm`);

print('KiB'.padEnd(44), '     raw    gzip  brotli   with the core: gzip  brotli');
for (const [name, contents, needsCore] of ENTRIES) {
  const { code } = await bundle(contents);
  const packed = [gzip(code), brotli(code)];
  const withCore = needsCore ? [packed[0] + gzip(module), packed[1] + brotli(module)] : [];
  print(
    name.padEnd(44),
    ...[code.length, ...packed].map(kib),
    withCore.length > 0 ? ' '.repeat(12) : '',
    ...withCore.map(kib),
  );
}
row('the core', module.length, gzip(module), brotli(module));

print('\nThe code of `connect`, by module (minified, before compression)');
const { inputs } = await bundle(ENTRIES[0][1]);
for (const [path, { bytesInOutput }] of Object.entries(inputs).sort(
  ([, one], [, other]) => other.bytesInOutput - one.bytesInOutput,
)) {
  row(`  ${path.replace('dist/', '')}`, bytesInOutput);
}

print('\nThe core, by section (raw, gzip by itself)');
for (const { name, bytes } of sections(module).sort((one, other) => other.bytes.length - one.bytes.length)) {
  row(`  ${name}`, bytes.length, gzip(bytes));
}

const named = await moduleWithNames();
if (named !== undefined) {
  print('\nThe code of the core, by where it comes from');
  const { total, origins } = codeByOrigin(named);
  for (const [origin, bytes] of origins.filter(([, size]) => size > total / 200)) {
    print(`  ${origin}`.padEnd(44), kib(bytes), `${((100 * bytes) / total).toFixed(1)} %`.padStart(9));
  }
}

/** The core as it is in the package, but with the names of its functions; made from what the compiler left. */
async function moduleWithNames() {
  const target = process.env.CARGO_TARGET_DIR ?? `${root}../target`;
  const generator = process.argv[2] ?? `${target}/debug/xtask-bindings`;
  const compiled = process.argv[3] ?? `${target}/wasm-build/wasm32-unknown-unknown/wasm/tidegate_wasm.wasm`;
  if (!existsSync(generator) || !existsSync(compiled)) {
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-size-'));
  try {
    const result = join(folder, 'tidegate_bg.wasm');
    execFileSync(generator, [compiled, folder, 'tidegate'], { stdio: 'ignore' });
    execFileSync(`${root}node_modules/.bin/wasm-opt`, [...OPTIMIZER_OPTIONS, result, '-o', result]);
    return await readFile(result);
  } finally {
    await rm(folder, { recursive: true });
  }
}
