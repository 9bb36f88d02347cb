/**
 * Publications under licences reach the subscribers that the core would have chosen, and are kept as the core keeps
 * them.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  createHub,
  type Hub,
  type Position,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
  type TidegateError,
} from 'tidegate';

import { VirtualHost } from '../support/virtual-host.js';

const TOPICS = ['a:1', 'a:2'];
const PATTERNS = [...TOPICS, 'a:*'];
const PACES = [
  {},
  { throttle: 100 },
  { throttle: 50, leading: false },
  { debounce: 80 },
  { debounce: 80, maxWait: 120, leading: true },
] as const;

/** A hub, and a record of everything that it does. Empty options make it ask the core for each publication. */
class Side {
  readonly host = new VirtualHost();
  readonly hub: Hub;
  readonly log: unknown[] = [];
  readonly subscriptions: Subscription[] = [];
  readonly #options: PublishOptions | undefined;
  readonly #positions = new Map<string, Position>();

  constructor(history: number, options?: PublishOptions) {
    this.hub = createHub({ host: this.host, history });
    this.#options = options;
  }

  publish(topic: string, data: unknown, options = this.#options): void {
    try {
      const position = this.hub.publish(topic, data, options);
      this.log.push(position.offset);
      this.#positions.set(topic, position);
    } catch (error) {
      this.log.push((error as TidegateError).code);
    }
  }

  /** Subscribes. Every third subscriber leaves at its fourth update, and every fourth one publishes at its second. */
  subscribe(pattern: string, pace: SubscribeOptions, missed: number): void {
    const name = this.subscriptions.length;
    let got = 0;
    const since = [...this.#positions].map(([topic, { epoch, offset }]) => ({
      topic,
      epoch,
      offset: Math.max(0, offset - missed),
    }));
    const options = { ...pace, ...(missed > 0 ? { since } : {}) };
    const onEnd = (reason: string): unknown => this.log.push([name, reason]);
    const onReset = (at: { topic: string; offset: number }): unknown =>
      this.log.push([name, 'reset', at.topic, at.offset]);
    const subscription = this.hub.subscribe(pattern, { ...options, onEnd, onReset }, (update) => {
      const { topic, data, offset, end } = update as {
        topic: string;
        data: unknown;
        offset: number;
        end?: string;
      };
      this.log.push([name, topic, data, offset, end]);
      got += 1;
      if (name % 3 === 0 && got === 4) {
        subscription();
      }
      if (name % 4 === 0 && got === 2) {
        this.publish('a:2', `by ${name}`);
      }
    });
    this.subscriptions.push(subscription);
  }
}

/** Random numbers that are the same in every run. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}

function subscribe(side: Side, below: (limit: number) => number): void {
  const pace = PACES[below(3) === 0 ? below(PACES.length) : 0]!;
  side.subscribe(PATTERNS[below(3)]!, pace, below(3) === 0 ? below(300) : 0);
}

function happen(side: Side, seed: number): void {
  const below = randomBelow(seed);
  for (let step = 0; step < 400; step += 1) {
    const topic = TOPICS[below(2)]!;
    const what = below(40);
    if (what < 2) {
      subscribe(side, below);
    } else if (what === 2) {
      side.subscriptions[below(1 + side.subscriptions.length)]?.();
    } else if (what === 3) {
      side.publish(topic, { status: below(2) === 0 ? 'complete' : 'running' }, { restart: true });
    } else if (what < 6) {
      side.host.advance(below(what === 4 ? 200 : 500_000));
    } else {
      for (let times = below(20); times >= 0; times -= 1) {
        side.publish(topic, step);
      }
    }
  }
}

test('who publishes without asking the core does what the core would have done', async () => {
  for (let seed = 1; seed <= 80; seed += 1) {
    const history = [256, 256, 1, 3][seed % 4]!;
    const sides = [new Side(history), new Side(history, {})] as const;
    for (const side of sides) {
      happen(side, seed);
      await side.host.settle();
      side.hub.close();
    }
    assert.deepEqual(sides[0].log, sides[1].log, `seed ${seed}`);
  }
});

test('what many topics were published is told to the core before it is too much', async () => {
  const { hub, host } = new Side(256);
  const topics = Array.from({ length: 40 }, (_, index) => `job:${index}`);
  for (const topic of topics) {
    hub.subscribe(topic, () => {});
  }
  for (let round = 0; round < 500; round += 1) {
    for (const topic of topics) {
      hub.publish(topic, round);
    }
  }
  const seen: unknown[] = [];
  const position = hub.publish('job:7', 'last');
  const since = { topic: 'job:7', ...position, offset: position.offset - 255 };
  hub.subscribe('job:7', { since }, ({ data }) => seen.push(data));
  await host.settle();
  assert.deepEqual(seen, [...Array.from({ length: 254 }, (_, index) => 246 + index), 'last']);
  hub.close();
});

test('a hub keeps the latest of each topic, and says so to those who resume before it', async () => {
  const host = new VirtualHost();
  const hub = createHub({ host });
  hub.subscribe('job:1', () => {});
  const [first, second] = [1, 2, 3].map((data) => hub.publish('job:1', data));
  const seen: unknown[] = [];
  const resume = (name: string, after: Position): unknown =>
    hub.subscribe(
      'job:1',
      { since: { topic: 'job:1', ...after }, onReset: () => seen.push(`${name}: reset`) },
      ({ data }) => {
        seen.push(`${name}: ${data}`);
      },
    );
  resume('after the first', first!);
  resume('after the second', second!);
  await host.settle();
  assert.deepEqual(seen, ['after the first: reset', 'after the first: 3', 'after the second: 3']);
  hub.close();
});

test('what a hub is to keep of each topic is what those get who resume', async () => {
  const host = new VirtualHost();
  const hub = createHub({ host, history: 2 });
  hub.subscribe('job:1', () => {});
  const [first] = [1, 2, 3, 4].map((data) => hub.publish('job:1', data));
  const seen: unknown[] = [];
  const resume = (offset: number): unknown =>
    hub.subscribe('job:1', { since: { topic: 'job:1', epoch: first!.epoch, offset } }, ({ data }) => {
      seen.push(data);
    });
  resume(2);
  await host.settle();
  assert.deepEqual(seen, [3, 4]);
  hub.close();
  for (const history of [0, 1.5, Number.NaN, 100_001]) {
    assert.throws(
      () => createHub({ history }),
      (error) => (error as TidegateError).code === 'bad_option',
    );
  }
});
