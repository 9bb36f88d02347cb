/** Compressed messages, as negotiated by a browser and by the most common WebSocket library of Node.js. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';

import { WebSocket as NodeSocket } from 'ws';

import { complaints, startBrowser } from '../support/browser.js';
import { startServerAt } from '../support/server.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 60_000 };

const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

/** Values of very different lengths, twice each: compression must not depend on earlier messages. */
const VALUES = [3, 300, 3, 3_000, 300, 3_000].map((length) =>
  Array.from({ length }, (_, line) => `line ${line} of ${length}`).join('\n'),
);

const compressing = async (t: TestContext): Promise<string> =>
  (await startServerAt(t, '127.0.0.1:0', 'memory', ['--compress-above', '100'])).url;

const socketUrl = (server: string): string => `${server.replace('http', 'ws')}/ws`;

test('a library of Node.js reads and writes compressed messages', LIMIT, async (t) => {
  const server = await compressing(t);
  const socket = new NodeSocket(socketUrl(server), 'tidegate.v1.json', {
    perMessageDeflate: { threshold: 0 },
  });
  t.after(() => socket.terminate());
  const [[response]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
  const raw: Socket = response.socket;
  assert.equal(response.headers['sec-websocket-extensions'], AGREED);
  socket.send(JSON.stringify({ type: 'subscribe', pattern: 'job:1' }));
  const got: string[] = [];
  const isDone = new Promise<void>((done) => {
    socket.on('message', (message) => {
      for (const frame of [JSON.parse(String(message))].flat()) {
        if (frame.type === 'pub') {
          got.push(frame.data);
        }
      }
      if (got.length === VALUES.length) {
        done();
      }
    });
  });
  for (const [ref, data] of VALUES.entries()) {
    socket.send(JSON.stringify({ type: 'publish', ref, topic: 'job:1', data }));
  }
  await isDone;
  assert.deepEqual(got, VALUES);
  const length = VALUES.join('').length;
  assert.ok(raw.bytesRead < length / 3, `${raw.bytesRead} bytes for ${length}`);
});

test('a browser reads and writes compressed messages', LIMIT, async (t) => {
  const server = await compressing(t);
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = complaints(page);
  const body = '<!doctype html><title>test</title><link rel="icon" href="data:,">';
  await page.route(`${server}/page`, (route) => route.fulfill({ contentType: 'text/html', body }));
  await page.goto(`${server}/page`);
  const got = page.evaluate(
    async ({ url, values }) => {
      const socket = new WebSocket(url, 'tidegate.v1.json');
      const data: string[] = [];
      await new Promise<void>((done, fail) => {
        socket.onclose = ({ code, reason }) => fail(new Error(`closed: ${code} ${reason}`));
        socket.onopen = () => socket.send(JSON.stringify({ type: 'subscribe', pattern: 'job:1' }));
        socket.onmessage = (message) => {
          for (const frame of [JSON.parse(message.data)].flat()) {
            if (frame.type === 'subscribed') {
              values.forEach((value, ref) => {
                socket.send(JSON.stringify({ type: 'publish', ref, topic: 'job:1', data: value }));
              });
            } else if (frame.type === 'pub') {
              data.push(frame.data);
            }
          }
          if (data.length === values.length) {
            done();
          }
        };
      });
      return { data, extensions: socket.extensions };
    },
    { url: socketUrl(server), values: VALUES },
  );
  const { data, extensions } = await got;
  assert.equal(extensions, AGREED);
  assert.deepEqual(data, VALUES);
  assert.deepEqual(problems, []);
});
