/** More topics than have numbers at the same time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, createHub, type Tide, type TopicPosition } from 'tidegate';

import { connectionCore } from '../../dist/engine.js';
import { FrameIntake } from '../../dist/frames.js';
import type { LeaderHub } from '../../dist/machines.js';
import { Election } from '../../dist/tabs/election.js';
import { hear, TABS_VERSION } from '../../dist/tabs/message.js';
import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

/** From this many topics on, numbers that nothing uses are freed. */
const SWEEP_FROM = 4_096;

/** The positions of this many different topics. */
function positions(run: string, count: number): TopicPosition[] {
  return Array.from({ length: count }, (_, nth) => ({ topic: `${run}:${nth}`, epoch: 7, offset: nth + 1 }));
}

/** The positions from which a connection asked the server to resume a pattern, by offset. */
function asked(pattern: string): TopicPosition[] {
  const frames = FakeSocket.last.take();
  const frame = frames.find(({ type, pattern: of }) => type === 'subscribe' && of === pattern);
  return (frame!['since'] as TopicPosition[]).toSorted((one, other) => one.offset - other.offset);
}

async function setUp(): Promise<{ host: VirtualHost; tide: Tide }> {
  const host = new VirtualHost();
  const tide = connect('http://example.test', { host, WebSocket: FakeSocket });
  tide.on('error', assert.ifError);
  await host.settle();
  FakeSocket.last.open();
  return { host, tide };
}

test('a subscription resumes after the positions of thousands of topics', async () => {
  const { host, tide } = await setUp();
  const since = positions('many', 5_000);
  tide.subscribe('many:*', { since }, () => {});
  await host.settle();
  assert.deepEqual(asked('many:*'), since);
  tide.close();
});

test('in the page, too', async () => {
  const host = new VirtualHost();
  const hub = createHub({ host });
  const since = positions('local', 5_000).map(({ topic }) => ({ topic, ...hub.publish(topic, 1) }));
  hub.publish('local:4999', 2);
  const seen: string[] = [];
  hub.subscribe('local:*', { since }, ({ topic, data }) => seen.push(`${topic} ${data}`));
  await host.settle();
  assert.deepEqual(seen, ['local:4999 2']);
  hub.close();
});

test('positions stay with their topics where numbers are given up before, between and after them', async () => {
  const { host, tide } = await setUp();
  // Three times as many topics as numbers, three at a time: the numbers run out once at each of the three.
  for (let run = 0; run < SWEEP_FROM; run += 1) {
    const since = positions(`few${run}`, 3);
    const unsubscribe = tide.subscribe(`few${run}:*`, { since }, () => {});
    await host.settle();
    assert.deepEqual(asked(`few${run}:*`), since);
    unsubscribe();
  }
  tide.close();
});

test('the tab that has the connection takes the positions of thousands of topics from another', async () => {
  const core = await connectionCore(Election.Host);
  const none = core.text(undefined);
  const number = core.calls.client_shared(1, none, false, none, 1, Election.Host, 1, core.text('group'));
  const hub = core.machine<LeaderHub>('client_', number);
  const intake = new FrameIntake();
  const said = { version: TABS_VERSION, from: 2, counter: 0, leader: 0 };
  hear(hub, intake, 0, { ...said, say: 'join', link: 1 });
  const topics = positions('tabs', 5_000);
  const frames = [
    { type: 'subscribe', pattern: 'tabs:*', since: topics },
    { type: 'ack', pattern: 'tabs:*', positions: topics },
  ];
  for (const frame of frames) {
    hear(hub, intake, 0, { ...said, say: 'up', link: 1, frame });
    assert.equal(core.era, 0);
  }
  hub.free();
});
