/** Puts the WASM core as text into `dist/module-text.js`, for the entry `tidegate/inline`. */

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { constants, deflateRawSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));

const core = await readFile(`${dist}wasm/tidegate_bg.wasm`);
const text = deflateRawSync(core, { level: constants.Z_BEST_COMPRESSION }).toString('base64');
const code = await readFile(`${dist}module-text.js`, 'utf8');
const filled = code.replace("MODULE_TEXT = ''", `MODULE_TEXT = '${text}'`);
if (filled === code) {
  throw new Error('dist/module-text.js has no empty MODULE_TEXT to put the core into');
}
await writeFile(`${dist}module-text.js`, filled);
