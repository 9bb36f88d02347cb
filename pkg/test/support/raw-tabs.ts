import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

import { WebSocket } from 'ws';

import { chromiumPath } from './server.js';
import { eventually } from './tabs.js';

/** A tab of a browser without a driver: drivers make every page believe that it is visible. */
export interface RawTab {
  /** Evaluates an expression, and awaits its result. */
  evaluate<T>(expression: string): Promise<T>;
  /** Brings it to the front, which hides the one that was there. */
  show(): Promise<void>;
  /** Puts it to sleep, as the browser does with hidden tabs; or wakes it up. */
  freeze(isFrozen: boolean): Promise<void>;
}

/** A browser with one window, in which one tab is visible. */
export interface RawBrowser {
  open(url: string): Promise<RawTab>;
  /** Discards a tab, as the browser does with hidden tabs when memory is scarce. */
  discard(url: string): Promise<void>;
  /** Brings a discarded tab to the front, which makes the browser reload its page. */
  loadAgain(url: string): Promise<RawTab>;
}

type Call = <T>(method: string, params?: object, sessionId?: string) => Promise<T>;

/** The browser's internal page about its tabs, on which they can be discarded. It must be enabled first. */
const DISCARDS = 'chrome://discards/';
const ASKS = JSON.stringify({ internal_only_uis_enabled: true });

/** Starts a browser that is closed when the test is over. */
export async function startRawBrowser(t: TestContext, more: readonly string[] = []): Promise<RawBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'tidegate-browser-'));
  await writeFile(join(profile, 'Local State'), ASKS);
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync'];
  const child = spawn(
    chromiumPath(),
    [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, ...more, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const call = await connectTo(await addressIn(child.stderr));
  const attach = async (targetId: string): Promise<RawTab> => {
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
      freeze: (isFrozen) =>
        call('Page.setWebLifecycleState', { state: isFrozen ? 'frozen' : 'active' }, sessionId),
    };
  };
  const open = async (url: string): Promise<RawTab> => {
    const { targetId } = await call<{ targetId: string }>('Target.createTarget', { url });
    return attach(targetId);
  };
  return {
    open,
    loadAgain: async (url) => {
      // A reloaded page may be another target.
      const find = async (): Promise<RawTab | undefined> => {
        type Targets = { targetInfos: readonly { targetId: string; type: string; url: string }[] };
        const { targetInfos } = await call<Targets>('Target.getTargets');
        const target = targetInfos.find((info) => info.type === 'page' && info.url === url);
        if (target === undefined) {
          return undefined;
        }
        const tab = await attach(target.targetId);
        await tab.show();
        const isLoaded = await tab.evaluate<boolean>(`'tide' in globalThis`).catch(() => false);
        return isLoaded ? tab : undefined;
      };
      const tab = await eventually(find, (found) => found !== undefined);
      assert.ok(tab, `the browser loads ${url} again`);
      return tab;
    },
    discard: async (url) => {
      const page = await open(DISCARDS);
      const isDone = await eventually(() => page.evaluate<boolean>(discarding(url)), Boolean);
      assert.ok(isDone, `the browser discards ${url}`);
    },
  };
}

/** Presses the button that discards the tab with this address, once it is there. */
function discarding(url: string): string {
  return `(() => {
    const tabs = document.querySelector('discards-main')?.shadowRoot?.querySelector('discards-tab');
    const rows = [...(tabs?.shadowRoot?.querySelectorAll('tbody tr') ?? [])];
    const row = rows.find(({ innerText }) => innerText.includes(${JSON.stringify(url)}));
    const buttons = [...(row?.querySelectorAll('.actions-cell div') ?? [])];
    const button = buttons.find(({ textContent }) => textContent.includes('Urgent Discard'));
    button?.click();
    return button !== undefined;
  })()`;
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
