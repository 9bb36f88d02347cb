/** Publications that arrive together reach a tab together, whichever tab or worker holds the connection. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from 'tidegate';

import { bundleApp } from '../support/bundle.js';
import { setScene } from '../support/tabs.js';

/** A test that takes longer is considered hung. */
const LIMIT = { timeout: 90_000 };

const TOPICS = 200;

/** How many channel messages and renderings a burst may cost: about four, and more if the server reads it in pieces. */
const PARTS_MAX = 40;

/** Counts the messages on the channels of a page. */
const COUNT_HEARD = `{
  globalThis.heard = 0;
  const { get, set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, 'onmessage');
  Object.defineProperty(BroadcastChannel.prototype, 'onmessage', {
    get,
    set(hear) {
      set.call(this, (event) => {
        heard += 1;
        hear.call(this, event);
      });
    },
  });
}`;

for (const throttle of ['', 'frame']) {
  test(
    `a burst is few messages from a worker, and drawn few times: ${throttle || 'no throttle'}`,
    LIMIT,
    async (t) => {
      const scene = await setScene(t, 'auto');
      await scene.context.addInitScript(COUNT_HEARD);
      const { page } = await scene.open([], throttle === '' ? {} : { throttle });
      await page.addScriptTag({ type: 'module', content: await bundleApp('tiles.ts') });
      const publisher = connect(scene.server);
      t.after(() => publisher.close());
      const burst = (n: number) =>
        Promise.all(Array.from({ length: TOPICS }, (_, tile) => publisher.publish(`tile:${tile}`, n)));
      const counts = () => page.evaluate('[heard, drawn]') as Promise<[number, number]>;
      const shows = (n: number) =>
        page.waitForFunction(`document.getElementById('tiles')?.textContent === '${TOPICS} ${n}'`);

      await burst(1);
      await shows(1);
      assert.equal(scene.leader(), undefined, 'a worker has the connection');
      const before = await counts();
      await burst(2);
      await shows(2);
      const [heard, drawn] = (await counts()).map((count, nth) => count - before[nth]!);
      t.diagnostic(`${heard} messages, drawn ${drawn} times`);
      assert.ok(heard! <= PARTS_MAX, `${heard} messages`);
      assert.ok(drawn! <= PARTS_MAX, `drawn ${drawn} times`);
    },
  );
}
