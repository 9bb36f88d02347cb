import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The folder of the package. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`${name} must be set: \`cargo xtask test\` does so`);
  }
  return value;
}

/** The path of the browser. */
export const chromiumPath = (): string => environment('CHROMIUM');

/** Runs the program `tidegate` until the test is over. */
export function tidegate(t: TestContext, args: readonly string[]): ChildProcess {
  const child = spawn(environment('TIDEGATE_BIN'), args, { stdio: ['ignore', 'pipe', 'ignore'] });
  endWith(t, child);
  return child;
}

function endWith(t: TestContext, child: ChildProcess): void {
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
}

/** A running server. */
export interface RunningServer {
  readonly url: string;
  /** Kills it as a power failure would. */
  kill(): Promise<void>;
  /** Suspends it, with all its connections, or resumes it. */
  halt(isHalted: boolean): void;
}

/** Starts a server with a backend, by default its own memory. */
export async function startServerAt(
  t: TestContext,
  listen: string,
  backend = 'memory',
  more: readonly string[] = [],
): Promise<RunningServer> {
  // Many tests publish from their page.
  const open = ['--browsers-publish', '**'];
  const child = tidegate(t, ['serve', '--listen', listen, '--backend', backend, ...open, ...more]);
  for await (const line of createInterface({ input: child.stdout! })) {
    const address = /http:\/\/[^\s/]+/.exec(line);
    if (address !== null) {
      return running(address[0], child);
    }
  }
  throw new Error('the server ended without printing its address');
}

/** Starts a server on a free port, and returns its address. */
export async function startServer(t: TestContext): Promise<string> {
  return (await startServerAt(t, '127.0.0.1:0')).url;
}

/** Starts one of the server's examples on a free port until the test is over, and returns its address. */
export async function startExample(
  t: TestContext,
  name: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  return (await startExampleAt(t, name, ['127.0.0.1:0'], variables)).url;
}

/** Starts one of the server's examples, with arguments, until the test is over or it is killed. */
export async function startExampleAt(
  t: TestContext,
  name: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<RunningServer> {
  const program = join(dirname(environment('TIDEGATE_BIN')), 'examples', name);
  const env = { ...process.env, ...variables };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env });
  endWith(t, child);
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /http:\/\/\S+/.exec(line);
    if (address !== null) {
      return running(address[0], child);
    }
  }
  throw new Error(`${name} ended without printing its address`);
}

function running(url: string, child: ChildProcess): RunningServer {
  const halt = (isHalted: boolean): void => {
    child.kill(isHalted ? 'SIGSTOP' : 'SIGCONT');
  };
  return { url, kill: () => killed(child), halt };
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Publishes over HTTP, as any program can. */
export async function publish(
  server: string,
  topic: string,
  data: unknown,
  more: object = {},
): Promise<void> {
  const response = await fetch(`${server}/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topic, data, ...more }),
  });
  if (!response.ok) {
    throw new Error(`${response.status} ${await response.text()}`);
  }
}
