/** Many throttled topics, each of which gets many updates within its window. */

import throttleOfLodash from 'lodash/throttle.js';
import { asyncScheduler, Subject, throttleTime } from 'rxjs';
import { createHub, throttle } from 'tidegate';

import { localCore } from '../../dist/engine.js';
import { heapBytes, median, timed } from '../measure.mjs';

const TOPICS = 10_000;
const UPDATES = 1_000_000;
const ROUNDS = 7;
/** The contender that keeps updates, instead of only the latest of each topic. */
const HEAVY = '… that keeps 256';
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
  [HEAVY]: () => hubWith({ history: 256 }),
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

/** Feeds all updates to what `open` made, and returns how long it took, in milliseconds. */
function fed(feed) {
  return timed((updates) => {
    for (let index = 0; index < updates; index += 1) {
      feed(names[index % TOPICS], { progress: index });
    }
  }, UPDATES);
}

function timeOf(open) {
  const { feed, end } = open();
  const ms = fed(feed);
  end();
  processWhatWasFreed();
  return ms;
}

function heapOf(open) {
  const before = heapBytes();
  const memory = localCore().calls.memory.buffer.byteLength;
  const { feed, end } = open();
  fed(feed);
  const grown = localCore().calls.memory.buffer.byteLength - memory;
  const bytes = heapBytes() - before + grown;
  end();
  processWhatWasFreed();
  return bytes;
}

/** The next call processes what a hub has freed, so it must not be a measured one. */
function processWhatWasFreed() {
  const next = createHub();
  next.publish('done', 0);
  next.close();
}

/**
 * The medians of what `measure` finds, by contender. They take turns, in an order that rotates; who holds a million updates
 * comes after all others, because whoever follows pays for what it leaves to the garbage collector.
 */
function medians(measure) {
  const medianOf = (rounds) => median(rounds.slice(1));
  const taken = Object.fromEntries(Object.keys(CONTENDERS).map((name) => [name, []]));
  for (const group of [Object.keys(CONTENDERS).filter((name) => name !== HEAVY), [HEAVY]]) {
    // The first round is for warming up.
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (let turn = 0; turn < group.length; turn += 1) {
        const name = group[(turn + round) % group.length];
        taken[name].push(measure(CONTENDERS[name]));
      }
    }
  }
  return Object.fromEntries(Object.entries(taken).map(([name, rounds]) => [name, medianOf(rounds)]));
}

export function throttles() {
  const ms = medians(timeOf);
  const bytes = medians(heapOf);
  if (received < TOPICS) {
    throw new Error('the leading updates were not handed over');
  }
  const megabytes = Object.fromEntries(Object.entries(bytes).map(([name, taken]) => [name, taken / 1e6]));
  return {
    title: '1,000,000 updates of 10,000 throttled topics',
    rows: [
      { what: 'time', unit: 'ms', taken: ms, against: 'lodash' },
      { what: 'heap', unit: 'MB', taken: megabytes, against: 'lodash' },
    ],
  };
}
