import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { startServerAt } from './server.js';
import { SECRET } from './tokens.js';

/** Starts a server that requires tokens, and returns its address. */
export async function startAskingServer(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-'));
  t.after(() => rm(folder, { recursive: true }));
  const secret = join(folder, 'secret');
  await writeFile(secret, SECRET);
  return (await startServerAt(t, '127.0.0.1:0', 'memory', ['--jwt-secret-file', secret])).url;
}

/** Publishes with a token. */
export async function publishAs(server: string, bearer: string, topic: string, data: unknown): Promise<void> {
  const response = await fetch(`${server}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}` },
    body: JSON.stringify({ topic, data }),
  });
  if (!response.ok) {
    throw new Error(`${response.status} ${await response.text()}`);
  }
}
