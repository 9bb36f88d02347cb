import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

import { packageRoot } from './server.js';

const run = promisify(execFile);

/** The packages that apps use beside the one under test. */
const NEIGHBOURS = ['react', 'react-dom', 'scheduler', 'ws'];

/** A folder with the apps of `test/packaging/`, in which the package is installed from what npm would publish. */
export async function installPacked(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-packaging-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await cp(join(packageRoot, 'test/packaging/apps'), folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{"name": "apps", "type": "module", "private": true}');
  const packing = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: packageRoot,
  });
  const packed = JSON.parse(packing.stdout) as Record<string, { filename: string }>;
  const archive = join(folder, Object.values(packed)[0]!.filename);
  const offline = ['--offline', '--no-audit', '--no-fund', '--no-save', '--omit=peer'];
  await run('npm', ['install', ...offline, archive], { cwd: folder });
  for (const name of NEIGHBOURS) {
    await symlink(join(packageRoot, 'node_modules', name), join(folder, 'node_modules', name));
  }
  return folder;
}
