import { join } from 'node:path';

import { build } from 'esbuild';

import { packageRoot } from './server.js';

/** Bundles one of the programs in `test/apps/` with the built package and all dependencies, for a page to load. */
export async function bundleApp(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(packageRoot, 'test/apps', name)],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    // React's own checks, including strict mode, are only in its development build.
    define: { 'process.env.NODE_ENV': '"development"' },
    write: false,
    logLevel: 'warning',
  });
  return outputFiles[0]!.text;
}
