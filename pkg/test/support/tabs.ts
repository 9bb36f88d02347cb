/** Many tabs of one browser on one server, and what each of them gets. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { connect, type Tide } from 'tidegate';

import { startFront } from './front.js';
import { chromiumPath, packageRoot, startServerAt } from './server.js';
import { type Carried, layWire } from './wire.js';

/** How long any expected event may take: a busy machine is slow, and only hanging is an error. */
const PATIENCE_MS = 60_000;

/** The ways in which tabs share. */
export const WAYS = ['leader', 'worker'] as const;
export type Way = (typeof WAYS)[number] | 'auto' | 'off';

/** Features that the driver switches off, and that must be on as for real users. */
const AS_FOR_PEOPLE = [
  '--disable-back-forward-cache',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/**
 * Follows topics and records the updates of each, with offsets and times, and errors. It reports how many sockets it
 * has. With `deaf`, it doesn't learn that the page freezes.
 */
const PAGE = `<!doctype html><title>tab</title><link rel="icon" href="data:,"><script>
const workers = [];
globalThis.Worker = class extends Worker {
  constructor(url, options) {
    super(url, options);
    workers.push(String(url));
  }
};
let sockets = 0;
globalThis.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets += 1;
    this.addEventListener('close', () => { sockets -= 1; });
  }
};
if (location.search.includes('deaf')) {
  const add = document.addEventListener;
  document.addEventListener = function (type, ...rest) {
    if (type !== 'freeze') add.call(this, type, ...rest);
  };
}
</script><script type="module">
import { connect } from './dist/index.js';
const query = new URLSearchParams(location.search);
const token = query.get('token') ?? undefined;
const tide = connect(location.origin, { tabs: query.get('tabs') ?? undefined, ...(token && { token }) });
const told = { offsets: [], times: [], data: [], ends: [], wrong: [], persisted: 0 };
tide.on('error', (error) => told.wrong.push(String(error)));
addEventListener('pageshow', ({ persisted }) => { told.persisted += Number(persisted); });
function follow(topic, options = {}) {
  tide.subscribe(topic, {
    ...options,
    onReset: (at) => told.wrong.push('reset ' + JSON.stringify(at)),
    onLagged: (missed) => told.wrong.push('lagged ' + missed),
    onError: (error) => told.wrong.push(String(error)),
    onEnd: (reason) => told.ends.push(reason),
  }, (due) => {
    for (const { offset, data } of [due].flat()) {
      told.offsets.push(offset);
      told.times.push(Date.now());
      told.data.push(data);
    }
  });
}
Object.assign(window, { tide, told, follow });
for (const topic of query.getAll('topic')) follow(topic, JSON.parse(query.get('options') ?? '{}'));
</script>`;

/** What a page has got. */
export interface Told {
  readonly offsets: readonly number[];
  readonly times: readonly number[];
  readonly data: readonly unknown[];
  readonly ends: readonly string[];
  readonly wrong: readonly string[];
  readonly persisted: number;
}

/** One tab, and how many sockets it holds open. */
export class Tab {
  sockets = 0;

  constructor(readonly page: Page) {
    page.on('websocket', (socket) => {
      this.sockets += 1;
      socket.on('close', () => {
        this.sockets -= 1;
      });
    });
  }

  told(): Promise<Told> {
    return this.page.evaluate('told') as Promise<Told>;
  }

  /** Waits until it has got this offset. */
  reached(offset: number, timeoutMs = PATIENCE_MS): Promise<void> {
    return this.#waitFor(`told.offsets.at(-1) >= ${offset}`, timeoutMs);
  }

  isConnected(): Promise<void> {
    return this.#waitFor(`globalThis.tide?.state.status === 'connected'`, PATIENCE_MS);
  }

  /** Polls from the test: a page in the background has no animation frames, and few timers. */
  async #waitFor(condition: string, timeoutMs: number): Promise<void> {
    const is = await eventually(() => this.page.evaluate(condition), Boolean, timeoutMs);
    assert.ok(is, `a tab waited in vain for ${condition}`);
  }
}

/** The server's own counts. */
export interface Counts {
  readonly connections: number;
  readonly subscriptions: number;
}

export async function countsOf(server: string): Promise<Counts> {
  const response = await fetch(`${server}/debug`);
  return (await response.json()) as Counts;
}

/** Asks until the answer is as expected. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isWanted: (answer: T) => boolean,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (isWanted(answer) || Date.now() > until) {
      return answer;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A browser with a server, and pages that share a connection. */
export class Scene {
  readonly tabs: Tab[] = [];

  constructor(
    readonly server: string,
    readonly front: string,
    readonly context: BrowserContext,
    readonly browser: Browser,
    readonly way: Way,
    /** Cuts the wire between the browser and the server, or mends it. */
    readonly cut: (isCut: boolean) => void,
    /** What the server has sent to the browser. */
    readonly carried: () => Carried,
  ) {}

  async open(topics: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Tab> {
    const query = new URLSearchParams({ tabs: this.way, ...more });
    for (const topic of topics) {
      query.append('topic', topic);
    }
    const page = await this.context.newPage();
    const tab = new Tab(page);
    this.tabs.push(tab);
    await page.goto(`${this.front}/?${query}`);
    await tab.isConnected();
    return tab;
  }

  async openMany(count: number, topics: readonly string[]): Promise<void> {
    for (let number = 0; number < count; number += 1) {
      await this.open(topics);
    }
  }

  /** The tab that holds the connection. */
  leader(): Tab | undefined {
    return this.tabs.find(({ sockets }) => sockets > 0);
  }

  async close(tab: Tab): Promise<void> {
    this.tabs.splice(this.tabs.indexOf(tab), 1);
    await tab.page.close({ runBeforeUnload: false });
  }

  counts(): Promise<Counts> {
    return countsOf(this.server);
  }
}

/**
 * The history of a topic: longer than what is published, at the highest rate, while a dead leader is noticed and
 * replaced.
 */
const KEEPS = ['--history', '4096'];

/** Serves the package and the page in front of a server of its own. */
export async function servePage(
  t: TestContext,
): Promise<{ readonly server: string; readonly front: string }> {
  const { url } = await startServerAt(t, '127.0.0.1:0', 'memory', KEEPS);
  return { server: url, front: await startFront(t, await makeFolder(t), url) };
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-tabs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await symlink(join(packageRoot, 'dist'), join(folder, 'dist'));
  await writeFile(join(folder, 'index.html'), PAGE);
  return folder;
}

/** The settings of a scene. */
export interface Setting {
  /** The server, if it runs already. */
  readonly server?: string;
  /** The name of the machine that pages are loaded from: with another one than its own, they are not secure. */
  readonly machine?: string;
  /** The headers of the page and the package. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the file of this path is served, by default always. */
  readonly isServed?: (path: string) => boolean;
  /** More arguments for the browser. */
  readonly args?: readonly string[];
}

/** Serves the package and the page in front of a server, and starts a browser like a real user's. */
export async function setScene(t: TestContext, way: Way, setting: Setting = {}): Promise<Scene> {
  const { machine = '127.0.0.1', headers = {}, args = [], isServed } = setting;
  // A server without tokens only answers under origins that it knows.
  const more = [...KEEPS, '--origin', `http://${machine}`];
  const server = setting.server ?? (await startServerAt(t, '127.0.0.1:0', 'memory', more)).url;
  const folder = await makeFolder(t);
  const wire = await layWire(t, server);
  const front = await startFront(t, folder, wire.url, headers, isServed);
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      `--host-resolver-rules=MAP ${machine} 127.0.0.1`,
      ...args,
    ],
    ignoreDefaultArgs: AS_FOR_PEOPLE,
  });
  t.after(() => browser.close());
  const address = front.replace('127.0.0.1', machine);
  return new Scene(server, address, await browser.newContext(), browser, way, wire.cut, wire.carried);
}

/** Publishes at a rate until it is stopped. */
export class Publisher {
  readonly #tide: Tide;
  readonly #timer: ReturnType<typeof setInterval>;
  #asked = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(t: TestContext, server: string, topic: string, perSecond: number) {
    this.#tide = connect(server);
    const began = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - began) / 1000) * perSecond;
      while (this.#asked < due) {
        this.#asked += 1;
        this.#last = this.#tide.publish(topic, { n: this.#asked });
      }
    }, 5);
    t.after(() => this.#end());
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#tide.close();
  }

  get isRunning(): boolean {
    return this.#tide.state.status !== 'closed';
  }

  /** Stops publishing; returns the last offset. */
  async stop(): Promise<number> {
    clearInterval(this.#timer);
    const { offset } = (await this.#last) as { offset: number };
    this.#tide.close();
    return offset;
  }
}

/** Checks that every publication from the first one to `last` came once, in order, without errors. */
export function assertWhole(told: Told, last: number): void {
  assert.deepEqual(told.wrong, []);
  const [first = last] = told.offsets;
  const expected = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  assert.deepEqual(told.offsets, expected);
}

/** Checks that the server has one connection with one subscription; the publisher's is closed by now. */
export async function assertOneConnection(scene: Scene): Promise<void> {
  const counts = await eventually(
    () => scene.counts(),
    ({ connections, subscriptions }) => connections === 1 && subscriptions === 1,
  );
  assert.deepEqual([counts.connections, counts.subscriptions], [1, 1]);
}

/** The longest time without a publication after `since`. */
export function longestGap(told: Told, since: number): number {
  let gap = 0;
  for (let index = 1; index < told.times.length; index += 1) {
    if (told.times[index]! >= since) {
      gap = Math.max(gap, told.times[index]! - told.times[index - 1]!);
    }
  }
  return gap;
}

export function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
