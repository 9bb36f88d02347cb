/** Publications that are handed on under licences are those that the core would have handed on. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, type Subscription, type Tide } from 'tidegate';

import { FakeSocket } from '../support/fake-socket.js';
import { VirtualHost } from '../support/virtual-host.js';

const TOPICS = ['a', 'b'];

/** One connection with its server, and a record of everything that it does. */
class Side {
  readonly host = new VirtualHost();
  readonly log: unknown[] = [];
  readonly subscriptions: Subscription[] = [];
  readonly tide: Tide;
  socket!: FakeSocket;
  /** When each ping was sent. The server answers them at once, unless it is dead. */
  readonly pings: number[] = [];
  isDead = false;

  constructor() {
    const side = this;
    class Socket extends FakeSocket {
      override send(text: string): void {
        super.send(text);
        if (this.sent.at(-1)?.['type'] === 'ping') {
          this.sent.pop();
          side.pings.push(side.host.now());
          side.host.setTimer(() => side.isDead || this.receive({ type: 'pong' }), 0);
        }
      }

      constructor(url: string, protocol?: string | string[]) {
        super(url, protocol);
        side.socket = this;
        queueMicrotask(() => side.open());
      }
    }
    this.tide = connect('http://example.test', { host: this.host, WebSocket: Socket });
    this.tide.on('error', (error) => this.log.push(String(error)));
  }

  open(): void {
    this.socket.open();
    this.answer();
  }

  subscribe(topic: string, isPaced: boolean): void {
    const name = this.subscriptions.length;
    let left = name % 3 === 0 ? 4 : Number.POSITIVE_INFINITY;
    const options = isPaced ? { throttle: 100 } : {};
    const subscription = this.tide.subscribe(topic, options, (update) => {
      this.log.push([name, update]);
      left -= 1;
      if (left === 0) {
        subscription();
      }
    });
    this.subscriptions.push(subscription);
  }

  /** Answers as a server, at once. Frames about the topic that nobody publishes to are not recorded. */
  answer(): void {
    for (const frame of this.socket.take()) {
      const { type, pattern } = frame;
      if (pattern !== 'silent') {
        this.log.push(frame);
      }
      if (type === 'subscribe') {
        this.socket.receive({ type: 'subscribed', pattern, recovered: true, flow: {} });
      } else if (type === 'unsubscribe') {
        this.socket.receive({ type: 'unsubscribed', pattern });
      }
    }
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

class Server {
  readonly #at = TOPICS.map(() => ({ epoch: 1, offset: 0 }));
  #said = 0;

  /** The next publication of a topic. */
  next(topic: string): object {
    const at = this.#at[TOPICS.indexOf(topic)]!;
    at.offset += 1;
    this.#said += 1;
    return { type: 'pub', topic, ...at, data: this.#said };
  }

  frame(random: (limit: number) => number): object {
    const index = random(TOPICS.length);
    const at = this.#at[index]!;
    const what = random(20);
    if (what === 0) {
      return { type: 'reset', topic: TOPICS[index], ...at };
    }
    if (what === 1) {
      at.epoch += 1;
      at.offset = 0;
    }
    at.offset += what === 2 ? 3 : 1;
    if (what === 3) {
      at.offset -= 1;
    }
    this.#said += 1;
    return { type: 'pub', topic: TOPICS[index], ...at, data: this.#said };
  }
}

async function run(seed: number): Promise<void> {
  const random = randomBelow(seed);
  const server = new Server();
  const sides = [new Side(), new Side()] as const;
  sides[0].tide.subscribe('silent', () => {});
  // While a subscription is paced by frames, the core grants no licences.
  sides[1].tide.subscribe('silent', { throttle: 'frame' }, () => {});
  const both = (act: (side: Side) => void): void => {
    for (const side of sides) {
      act(side);
      side.answer();
    }
  };
  await sides[0].host.settle();
  for (let step = 0; step < 120; step += 1) {
    const what = random(24);
    if (what < 2) {
      const [topic, isPaced] = [TOPICS[random(TOPICS.length)]!, random(5) === 0];
      both((side) => side.subscribe(topic, isPaced));
    } else if (what === 2) {
      const which = random(6);
      both((side) => side.subscriptions[which]?.());
    } else if (what === 3) {
      both((side) => {
        side.socket.break();
        side.host.advance(30_000);
      });
      await sides[0].host.settle();
    } else if (what < 6) {
      const ms = random(60_000);
      both((side) => side.host.advance(ms));
      await sides[0].host.settle();
    } else {
      const frames = Array.from({ length: 1 + random(3) }, () => server.frame(random));
      both((side) => side.socket.receive(...frames));
    }
    assert.deepEqual(sides[0].log, sides[1].log, `seed ${seed}, step ${step}`);
  }
  both((side) => side.tide.close());
}

test('who hands on by licence asks for signs of life no later than others, and seldom', async () => {
  const side = new Side();
  const server = new Server();
  side.subscribe('a', false);
  await side.host.settle();
  const minutes = 10;
  for (let second = 0; second < minutes * 60; second += 1) {
    side.host.advance(1_000);
    side.socket.receive(server.next('a'));
  }
  const status = (): string => side.tide.state.status;
  const silentFrom = side.host.now();
  assert.ok(side.pings.length <= minutes * 2, `${side.pings.length} pings in ${minutes} minutes`);
  side.isDead = true;
  side.host.advance(37_500);
  assert.ok(side.pings.at(-1)! > silentFrom, 'a heartbeat and a half of silence');
  assert.equal(status(), 'connected');
  side.host.advance(10_000);
  assert.equal(status(), 'disconnected');
  side.tide.close();
});

test('who hands on by licence has called the same handlers and sent the same frames', async () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    await run(seed);
  }
});
