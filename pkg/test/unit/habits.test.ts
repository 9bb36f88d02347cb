/** What is expected of any modern library: signals, disposal, no unhandled rejections, small bundles. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';
import { connect, createHub, TidegateError } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

async function bundle(code: string, options: { write?: string } = {}): Promise<string> {
  const result = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['react'],
    write: false,
    logLevel: 'silent',
  });
  const text = result.outputFiles[0]!.text;
  if (options.write !== undefined) {
    await writeFile(options.write, text);
  }
  return text;
}

test('each call of on is a listener of its own, and an event that is none is refused by code', async () => {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  const states: string[] = [];
  const listener = ({ status }: { status: string }) => states.push(status);
  const controller = new AbortController();
  const stop = tide.on('state', listener);
  tide.on('state', listener, { signal: controller.signal });
  tide.subscribe('a', () => {});
  await host.settle();
  FakeSocket.last.open();
  assert.deepEqual(states, ['connected', 'connected']);
  stop();
  stop();
  FakeSocket.last.break();
  assert.deepEqual(states.slice(2), ['disconnected']);
  controller.abort();
  tide.close();
  assert.equal(states.length, 3);
  for (const event of ['stat', 'toString']) {
    assert.throws(
      () => tide.on(event as 'state', listener),
      (error) => error instanceof TidegateError && error.code === 'bad_option',
    );
  }
});

test('a signal closes a connection, ends listening and ends a subscription', async () => {
  const host = new VirtualHost();
  const [all, some] = [new AbortController(), new AbortController()];
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket, signal: all.signal });
  const heard: string[] = [];
  const overheard: string[] = [];
  tide.on('state', ({ status }) => heard.push(status), { signal: some.signal });
  tide.on('state', ({ status }) => overheard.push(status), { signal: AbortSignal.abort() });
  const subscription = tide.subscribe('a', { signal: some.signal }, () => {});
  await host.settle();
  some.abort();
  assert.equal(subscription.active, false);
  const count = heard.length;
  FakeSocket.last.open();
  all.abort();
  assert.equal(tide.state.status, 'closed');
  assert.ok(FakeSocket.last.closed);
  assert.deepEqual([heard.length, overheard.length], [count, 0]);
  const made = FakeSocket.made.length;
  const stillborn = connect('http://example.test', { host, WebSocket: FakeSocket, signal: all.signal });
  await host.settle();
  assert.equal(stillborn.state.status, 'closed');
  assert.equal(FakeSocket.made.length, made);
});

test('using ends a connection, a listening, a subscription and an iterator', async () => {
  const host = new VirtualHost();
  const seen: unknown[] = [];
  let kept: { readonly state: { readonly status: string } };
  {
    using tide = connect('http://example.test', { host, WebSocket: FakeSocket });
    using _listening = tide.on('state', ({ status }) => seen.push(status));
    kept = tide;
  }
  assert.equal(kept.state.status, 'closed');
  assert.equal(seen.length, 0, 'the listening ended first');
  using hub = createHub({ host });
  {
    using _subscription = hub.subscribe('a', ({ data }) => seen.push(data));
    hub.publish('a', 1);
  }
  hub.publish('a', 2);
  assert.deepEqual(seen, [1]);
  const updates = hub.watch<number>('a');
  {
    await using again = updates;
    assert.equal((await again.next()).value?.data, 2);
  }
  assert.deepEqual(await updates.next(), { done: true, value: undefined });
});

test('a publish that nobody awaits is no unhandled rejection', async (t) => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): unknown => unhandled.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.publish('a', 1);
  tide.publish('a::b', 1);
  tide.publish('a', 1n);
  void tide.watch('a').next();
  await host.settle();
  tide.close();
  tide.publish('a', 1);
  void connect('http://example.test', { host, WebSocket: FakeSocket, wasm: new Uint8Array([1]) }).close();
  await host.settle();
  await host.settle();
  assert.deepEqual(unhandled, []);
});

test('a bundle holds only what is imported', async () => {
  const marks = {
    connect: 'tidegate.v1.json',
    createHub: 'await ready() before createHub',
    throttle: 'what is to be called',
    element: 'role","progressbar',
    react: 'TideProvider',
  };
  const found = (code: string): string[] =>
    Object.entries(marks)
      .filter(([, mark]) => code.includes(mark))
      .map(([name]) => name);
  assert.deepEqual(found(await bundle("export { connect } from 'tidegate'")), ['connect']);
  assert.deepEqual(found(await bundle("export { createHub } from 'tidegate'")), ['createHub']);
  assert.deepEqual(found(await bundle("export { throttle } from 'tidegate'")), ['throttle']);
  assert.deepEqual(found(await bundle("export * from 'tidegate/react'")), ['react']);
  for (const entry of ['tidegate/element', 'tidegate/element/react']) {
    assert.deepEqual(found(await bundle(`import '${entry}'`)), ['connect', 'element'], entry);
  }
  const unused = ['tidegate', 'tidegate/react', 'tidegate/progress', 'tidegate/chart', 'tidegate/inline'];
  assert.equal((await bundle(unused.map((entry) => `import '${entry}';`).join(''))).trim(), '');
});

test('what is for React says that it is for clients, so that server components may import it', async () => {
  for (const entry of ['react.js', 'element/react.js']) {
    const text = await readFile(join(root, 'dist', entry), 'utf8');
    assert.match(text, /^'use client';/, entry);
  }
});

test('what needs no core stays small, and who does not show work does not pay for it', async () => {
  for (const [code, most] of [
    ["export * from 'tidegate/react'", 4.15],
    ["export { TideProvider, useConnection, usePresence, useTopic } from 'tidegate/react'", 2.4],
    ["export * from 'tidegate/progress'", 3],
    ["export { formats, percent, timeText } from 'tidegate/progress'", 1.25],
    ["export * from 'tidegate/chart'", 3.1],
  ] as const) {
    const size = gzipSync(await bundle(code), { level: 9 }).length / 1024;
    assert.ok(size <= most, `${code} weighs ${size.toFixed(2)} KiB gzip`);
  }
});

test('errors are made where somebody has frozen what is built in', () => {
  const entry = JSON.stringify(pathToFileURL(join(root, 'dist/index.js')).href);
  const code = `
    Object.freeze(Error.prototype);
    const { TidegateError } = await import(${entry});
    console.log(String(new TidegateError('closed', 'over')));
  `;
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' });
  assert.equal(said, 'TidegateError: over\n');
});

test('the worker that tabs share is not made of what starts it, or bundlers would look into it for ever', async () => {
  const { metafile } = await build({
    entryPoints: [join(root, 'dist/tabs/worker.js')],
    absWorkingDir: root,
    bundle: true,
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  for (const path of Object.keys(metafile.inputs)) {
    assert.doesNotMatch(await readFile(join(root, path), 'utf8'), /new URL\('(?:[^']*\/)?worker\.js'/, path);
  }
});

test('importing any entry on a server does nothing', async () => {
  const { TideProgressElement } = await import('tidegate/element/react');
  assert.equal(typeof TideProgressElement, 'function');
});

test('the inline entry needs no file beside its bundle', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-inline-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const write = join(folder, 'bundle.mjs');
  await bundle("export * from 'tidegate/inline'", { write });
  const inline = (await import(pathToFileURL(write).href)) as typeof import('tidegate/inline');
  const host = new VirtualHost();
  const tide = inline.connect('http://example.test', { host, WebSocket: FakeSocket });
  const seen: unknown[] = [];
  tide.subscribe('a', ({ data }) => seen.push(data));
  await inline.ready();
  await host.settle();
  FakeSocket.last.open();
  FakeSocket.last.receive(
    { type: 'subscribed', pattern: 'a', position: { epoch: 7, offset: 0 }, recovered: false, flow: {} },
    { type: 'pub', topic: 'a', epoch: 7, offset: 1, data: 'here' },
  );
  assert.deepEqual(seen, ['here']);
  tide.close();
  const hub = inline.createHub({ host });
  assert.equal(hub.publish('a', 1).offset, 1);
});
