/** Many throttled topics, each of which gets many updates within its window. */

import throttleOfLodash from 'lodash/throttle.js';
import { asyncScheduler, Subject, throttleTime } from 'rxjs';
import { createHub, throttle } from 'tidegate';

import { localCore } from '../../dist/engine.js';
import { heapBytes, median, timed } from '../measure.mjs';

const TOPICS = 10_000;
const UPDATES = 1_000_000;
const ROUNDS = 5;
const WINDOW_MS = 60_000;

let received = 0;
const handle = () => {
  received += 1;
};

const names = Array.from({ length: TOPICS }, (_, index) => `job:${index}`);

/**
 * Each contender makes its throttles, and returns a function that feeds an update to a topic, and one that ends
 * everything.
 */
const CONTENDERS = {
  'tidegate hub': () => hubWith({}),
  '… that keeps 256': () => hubWith({ history: 256 }),
  'tidegate throttle()': () =>
    byTopic(
      () => throttle(handle, WINDOW_MS),
      (fn) => fn.cancel(),
    ),
  lodash: () =>
    byTopic(
      () => throttleOfLodash(handle, WINDOW_MS),
      (fn) => fn.cancel(),
    ),
  rxjs: () => {
    const both = { leading: true, trailing: true };
    const open = () => {
      const subject = new Subject();
      const subscription = subject.pipe(throttleTime(WINDOW_MS, asyncScheduler, both)).subscribe(handle);
      return Object.assign((data) => subject.next(data), { end: () => subscription.unsubscribe() });
    };
    return byTopic(open, (fn) => fn.end());
  },
};

function hubWith(options) {
  const hub = createHub(options);
  hub.subscribe('job:*', { throttle: WINDOW_MS }, handle);
  return { feed: (topic, data) => hub.publish(topic, data), end: () => hub.close() };
}

function byTopic(open, close) {
  const functions = new Map();
  const feed = (topic, data) => {
    let fn = functions.get(topic);
    if (fn === undefined) {
      fn = open();
      functions.set(topic, fn);
    }
    fn(data);
  };
  return { feed, end: () => [...functions.values()].forEach(close) };
}

function round(open) {
  const before = heapBytes();
  const memory = localCore().calls.memory.buffer.byteLength;
  const { feed, end } = open();
  const ms = timed((updates) => {
    for (let index = 0; index < updates; index += 1) {
      feed(names[index % TOPICS], { progress: index });
    }
  }, UPDATES);
  const grown = localCore().calls.memory.buffer.byteLength - memory;
  const bytes = heapBytes() - before + grown;
  end();
  // The next call processes what a hub has freed, so it must not be a measured one.
  const next = createHub();
  next.publish('done', 0);
  next.close();
  return { ms, bytes };
}

export function throttles() {
  const entries = Object.entries(CONTENDERS);
  const rounds = entries.map(() => []);
  for (let index = 0; index <= ROUNDS; index += 1) {
    for (const [turn, [, open]] of entries.entries()) {
      const taken = round(open);
      // The first round is for warming up.
      if (index > 0) {
        rounds[turn].push(taken);
      }
    }
  }
  if (received < TOPICS) {
    throw new Error('the leading updates were not handed over');
  }
  const by = (pick) =>
    Object.fromEntries(entries.map(([name], turn) => [name, median(rounds[turn].map(pick))]));
  return {
    title: '1,000,000 updates of 10,000 throttled topics',
    rows: [
      { what: 'time', unit: 'ms', taken: by(({ ms }) => ms), against: 'lodash' },
      { what: 'heap', unit: 'MB', taken: by(({ bytes }) => bytes / 1e6), against: 'lodash' },
    ],
  };
}
