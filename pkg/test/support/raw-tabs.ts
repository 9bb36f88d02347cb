import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

import { WebSocket } from 'ws';

import { chromiumPath } from './server.js';

/** A tab of a browser without a driver that has every page believe that it is seen. */
export interface RawTab {
  /** What an expression comes to, awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Brings it to the front: the one that was there is hidden. */
  show(): Promise<void>;
}

type Call = <T>(method: string, params?: object, sessionId?: string) => Promise<T>;

/** Starts a browser with one window, for tabs of which one is seen; it is closed when the test is over. */
export async function startRawBrowser(t: TestContext): Promise<{ open(url: string): Promise<RawTab> }> {
  const profile = await mkdtemp(join(tmpdir(), 'tidegate-browser-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync'];
  const child = spawn(
    chromiumPath(),
    [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const call = await connectTo(await addressIn(child.stderr));
  return {
    open: async (url) => {
      const { targetId } = await call<{ targetId: string }>('Target.createTarget', { url });
      const { sessionId } = await call<{ sessionId: string }>('Target.attachToTarget', {
        targetId,
        flatten: true,
      });
      return {
        evaluate: async <T>(expression: string) => {
          const { result, exceptionDetails } = await call<{
            result: { value: T };
            exceptionDetails?: object;
          }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId);
          if (exceptionDetails !== undefined) {
            throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
          }
          return result.value;
        },
        show: () => call('Target.activateTarget', { targetId }),
      };
    },
  };
}

async function addressIn(stderr: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stderr })) {
    const address = /ws:\/\/\S+/.exec(line);
    if (address !== null) {
      return address[0];
    }
  }
  throw new Error('the browser ended without printing its address');
}

async function connectTo(address: string): Promise<Call> {
  const socket = new WebSocket(address);
  await once(socket, 'open');
  const waiting = new Map<number, (result: never) => void>();
  let calls = 0;
  socket.on('message', (text) => {
    const { id, result, error } = JSON.parse(String(text)) as { id?: number; result?: never; error?: never };
    if (id !== undefined) {
      waiting.get(id)?.((result ?? error)!);
      waiting.delete(id);
    }
  });
  return (method, params = {}, sessionId = undefined) =>
    new Promise((resolve) => {
      calls += 1;
      waiting.set(calls, resolve);
      socket.send(JSON.stringify({ id: calls, method, params, sessionId }));
    });
}
