/** `node build/clean.mjs FOLDER`: removes everything that was built before, except the core's modules. */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL(`../${process.argv[2]}/`, import.meta.url));

await mkdir(folder, { recursive: true });
for (const name of await readdir(folder)) {
  if (name !== 'wasm') {
    await rm(folder + name, { recursive: true });
  }
}
