/** When the network is back, or a page wakes up, a waiting connection is retried at once, but not too often. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { connect, type Tide } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

/** Gives the program the events that a page has for its network. */
function pretendPage(t: TestContext): EventTarget {
  const page = new EventTarget();
  const value = page.addEventListener.bind(page);
  Object.defineProperty(globalThis, 'addEventListener', { value, configurable: true });
  t.after(() => {
    delete (globalThis as { addEventListener?: unknown }).addEventListener;
  });
  return page;
}

/** A connection whose server has been away so long that its backoff is some seconds. */
async function away(): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.subscribe('job:1', () => {});
  await host.settle();
  for (let since = host.now(); host.now() - since < 6_000; ) {
    FakeSocket.last.break();
    const { length } = FakeSocket.made;
    for (since = host.now(); FakeSocket.made.length === length; ) {
      host.advance(100);
    }
  }
  FakeSocket.last.break();
  await host.settle();
  assert.equal(tide.state.status, 'disconnected');
  return { host, tide };
}

for (const event of ['online', 'pageshow']) {
  test(`${event}: what waits is tried at once, and not again for two seconds`, async (t) => {
    const page = pretendPage(t);
    const { host, tide } = await away();
    const made = FakeSocket.made.length;
    page.dispatchEvent(new Event(event));
    assert.equal(FakeSocket.made.length, made + 1);
    const since = host.now();
    while (host.now() - since < 1_900) {
      FakeSocket.last.break();
      page.dispatchEvent(new Event(event));
      host.advance(10);
    }
    const asked = FakeSocket.made.length - made;
    assert.ok(asked < 20, `${asked} attempts within two seconds`);
    tide.close();
    page.dispatchEvent(new Event(event));
    assert.equal(FakeSocket.made.length, made + asked, 'it is over');
  });
}
