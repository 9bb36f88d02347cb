/** Bundles the dashboard into `dist/dashboard/`: static files that work under any path. */

import { cp, mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = `${root}dashboard/`;
const target = `${root}dist/dashboard/`;

await rm(target, { recursive: true, force: true });
await mkdir(`${target}wasm`, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: [`${source}dashboard.ts`],
  outdir: target,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});
for (const file of ['index.html', 'dashboard.css', 'icon.svg', 'marks']) {
  await cp(source + file, target + file, { recursive: true });
}
// The package looks for its WASM module beside its own code, which is now in the bundle. A page that doesn't share its
// connection needs this one.
await cp(`${root}dist/wasm/client.wasm`, `${target}wasm/client.wasm`);
