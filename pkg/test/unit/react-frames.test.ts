/** The stores behind the hooks, paced by frames that the test draws. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createHub } from 'tidegate';

import type { Pace } from '../../dist/react/subscribed.js';
import { TopicStore } from '../../dist/react/topic-store.js';
import { TopicsStore } from '../../dist/react/topics-store.js';
import { ScreenHost } from '../support/virtual-host.js';

const BY_FRAMES: Pace = { flow: { throttle: 'frame' }, key: 'frame' };

function setUp() {
  const host = new ScreenHost();
  const hub = createHub({ host });
  const shown: string[] = [];
  return {
    host,
    hub,
    shown,
    all: (pace: Pace = BY_FRAMES) => {
      const store = new TopicsStore<number>(hub, '*', {}, pace);
      const words = () => [...store.state()].map(([topic, { data, end }]) => `${topic}${data}${end ?? ''}`);
      return store.subscribe(() => shown.push(words().join(' ')));
    },
    newest: () => {
      const store = new TopicStore<number>(hub, '*', {}, BY_FRAMES);
      return store.subscribe(() => shown.push(`${store.state().update?.topic}${store.state().data}`));
    },
    draw: async () => {
      host.draw();
      await host.settle();
    },
  };
}

test('many topics under a pattern are shown once a frame, the first at once and all of a frame together', async () => {
  const { host, hub, shown, all, draw } = setUp();
  const stop = all();
  hub.publish('a', 1);
  await host.settle();
  assert.deepEqual(shown.splice(0), ['a1'], 'what is quiet does not wait');
  for (const topic of ['b', 'c', 'a']) {
    hub.publish(topic, 2);
    await host.settle();
  }
  host.advance(1_000);
  await host.settle();
  assert.deepEqual(shown, [], 'this frame has shown something');
  await draw();
  assert.deepEqual(shown.splice(0), ['a2 b2 c2']);
  hub.publish('d', 3);
  await host.settle();
  assert.deepEqual(shown, [], 'so has this one');
  await draw();
  assert.deepEqual(shown.splice(0), ['a2 b2 c2 d3']);
  await draw();
  await draw();
  assert.equal(host.isAsked, false, 'no frame is asked for while nothing changes');
  hub.publish('a', 4);
  await host.settle();
  assert.deepEqual(shown.splice(0), ['a4 b2 c2 d3']);
  stop();
  await host.settle();
  assert.equal(host.isAsked, false);
  hub.close();
});

test('many topics that each have a pace of their own are shown once a frame, too', async () => {
  for (const throttle of [undefined, 200] as const) {
    const { host, hub, shown, all, draw } = setUp();
    const stop = all({ flow: { throttle }, key: '' });
    for (const topic of ['a', 'b', 'c']) {
      hub.publish(topic, 1);
      await host.settle();
    }
    assert.deepEqual(shown.splice(0), ['a1']);
    await draw();
    assert.deepEqual(shown.splice(0), ['a1 b1 c1']);
    stop();
    hub.close();
  }
});

test('a terminal does not wait for a frame, and takes with it what does', async () => {
  const { host, hub, shown, all, draw } = setUp();
  all();
  hub.publish('a', 1);
  await host.settle();
  hub.publish('b', 2);
  hub.publish('c', 3, { end: 'failed' });
  await host.settle();
  assert.deepEqual(shown.splice(0), ['a1', 'a1 b2 c3failed']);
  await draw();
  assert.deepEqual(shown, []);
  hub.close();
});

test('the newest of whichever topic is shown once a frame, too; what waits when nobody listens is there afterwards', async () => {
  const { host, hub, shown, newest, draw } = setUp();
  const stop = newest();
  for (const topic of ['a', 'b', 'c']) {
    hub.publish(topic, 1);
    await host.settle();
  }
  assert.deepEqual(shown.splice(0), ['a1']);
  await draw();
  assert.deepEqual(shown.splice(0), ['c1']);
  hub.publish('d', 2);
  stop();
  await host.settle();
  assert.equal(host.isAsked, false);
  assert.deepEqual(shown, []);
  hub.close();
});
