import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createHub, TidegateError } from 'tidegate';

import { VirtualHost } from '../support/virtual-host.js';

test('a payload that publishes while it is merged is refused, and everything goes on', () => {
  const host = new VirtualHost();
  const hub = createHub({ host });
  const seen: unknown[] = [];
  hub.subscribe('job', { throttle: 100, conflate: 'merge' }, ({ data }) => seen.push(data));
  hub.publish('job', { a: 1 });
  hub.publish('job', { b: 1 });
  const meddling = {
    get c() {
      return hub.publish('other', 1).offset;
    },
  };
  assert.throws(
    () => {
      hub.publish('job', meddling);
      host.advance(100);
    },
    (error) => error instanceof TidegateError && error.code === 'internal',
  );
  const { length } = seen;
  hub.publish('job', { d: 1 });
  host.advance(1_000);
  assert.deepEqual(seen.at(-1), { d: 1 });
  assert.equal(seen.length, length + 1);
  hub.close();
});
