// Checks a built WASM module: `node --eval … -- MODULE.wasm`.
//
// A module must not get into the package if this Node can't run it, or if it imports `env`, because a dependency
// expects an operating system.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';

const [modulePath] = process.argv.slice(1);
const bytes = await readFile(modulePath);
if (!WebAssembly.validate(bytes)) {
  console.error(`${modulePath} is not a module that Node ${process.version} accepts`);
  process.exit(1);
}
const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes));
const fromEnv = imports.filter((entry) => entry.module === 'env').map((entry) => entry.name);
if (fromEnv.length > 0) {
  console.error(`${modulePath} imports from "env", which no browser has: ${fromEnv.join(', ')}`);
  process.exit(1);
}
const kib = (size) => `${(size / 1024).toFixed(1)} KiB`;
const weigh = (content) => `${kib(content.length)} (${kib(gzipSync(content, { level: 9 }).length)} gzip)`;
console.log(`${basename(modulePath)}: ${weigh(bytes)}, ${imports.length} imports`);
