/** Real Redis and PostgreSQL servers, one per test. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { freePort } from './ports.js';

const run = promisify(execFile);

/** How long a server may take to start. */
const PATIENCE_MS = 30_000;

/** A server, with its usual command-line client. */
export interface BackendServer {
  /** As `--backend` takes it. */
  readonly url: string;
  /** Runs `redis-cli` or `psql` with arguments, and returns its output. */
  client(...args: readonly string[]): Promise<string>;
}

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-backend-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a server until the test is over, and waits until `probe` succeeds. */
async function serve(
  t: TestContext,
  command: readonly [string, ...string[]],
  user: number | undefined,
  probe: () => Promise<unknown>,
): Promise<void> {
  const [program, ...args] = command;
  const identity = user === undefined ? {} : { uid: user, gid: user };
  const child = spawn(program, args, { stdio: 'ignore', ...identity });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await probe();
      return;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > until) {
        throw new Error(`${program} does not answer`, { cause: error });
      }
      await delay(20);
    }
  }
}

/** Starts a Redis that keeps nothing on disk. */
export async function startRedis(t: TestContext): Promise<BackendServer> {
  const port = String(await freePort());
  const folder = await newFolder(t);
  const client = async (...args: readonly string[]): Promise<string> =>
    (await run('redis-cli', ['-p', port, ...args])).stdout.trim();
  const command = ['redis-server', '--port', port, '--bind', '127.0.0.1'] as const;
  await serve(t, [...command, '--dir', folder, '--save', '', '--appendonly', 'no'], undefined, () =>
    client('PING'),
  );
  return { url: `redis://127.0.0.1:${port}`, client };
}

/** Debian's folder of PostgreSQL's programs, by version: not all of them are on the PATH. */
const POSTGRES_FOLDER = '/usr/lib/postgresql';

async function postgresPath(): Promise<string> {
  const versions = await readdir(POSTGRES_FOLDER).catch(() => []);
  const folders = versions.map((version) => join(POSTGRES_FOLDER, version, 'bin'));
  return [process.env['PATH'], ...folders].join(delimiter);
}

/** PostgreSQL refuses to run as root: if the test runs as root, this is the user `nobody`. */
const NOBODY = process.getuid?.() === 0 ? 65_534 : undefined;

/** Starts a PostgreSQL with an empty database. */
export async function startPostgres(t: TestContext): Promise<BackendServer> {
  const port = String(await freePort());
  const folder = await newFolder(t);
  await chmod(folder, 0o700);
  if (NOBODY !== undefined) {
    await chown(folder, NOBODY, NOBODY);
  }
  const env = { ...process.env, PATH: await postgresPath() };
  const program = async (name: string): Promise<string> =>
    (await run('sh', ['-c', `command -v ${name}`], { env })).stdout.trim();
  const data = join(folder, 'data');
  const identity = NOBODY === undefined ? {} : { uid: NOBODY, gid: NOBODY };
  const settings = ['-U', 'tidegate', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  await run(await program('initdb'), ['-D', data, ...settings], { ...identity, cwd: folder });
  const url = `postgres://tidegate@127.0.0.1:${port}/postgres`;
  const psql = await program('psql');
  const client = async (...args: readonly string[]): Promise<string> =>
    (await run(psql, [url, '-qAt', '-v', 'ON_ERROR_STOP=1', ...args])).stdout.trim();
  const options = ['-D', data, '-p', port, '-k', folder, '-h', '127.0.0.1', '-F'];
  await serve(t, [await program('postgres'), ...options], NOBODY, () => client('-c', 'SELECT 1'));
  return { url, client };
}
