/** Topics as the small integers that cross into the core. A topic's text crosses once. */

import { attempt, core, currentEra } from './engine.js';
import { forEachForgottenTopic } from './records.js';

/** From how many on the numbers that nothing holds are given up. */
const SWEEP_FROM = 4096;

const numbers = new Map<string, number>();
const names: string[] = [];
let sweepAt = SWEEP_FROM;
let era = 0;

/**
 * The number of a topic.
 *
 * To be called before the call into the core that uses the number, not earlier: it may be given up in between.
 *
 * @throws {@link TidegateError} with code `bad_topic`.
 * @internal
 */
export function topicNumber(topic: string): number {
  if (era !== currentEra()) {
    numbers.clear();
    era = currentEra();
  }
  return numbers.get(topic) ?? intern(topic);
}

function intern(topic: string): number {
  if (numbers.size >= sweepAt) {
    forEachForgottenTopic(core().sweep_topics(), (number) => numbers.delete(names[number]!));
    sweepAt = Math.max(SWEEP_FROM, numbers.size * 2);
  }
  const number = attempt(() => core().intern_topic(topic));
  numbers.set(topic, number);
  names[number] = topic;
  return number;
}

/**
 * The topic with a number that the core named.
 *
 * @internal
 */
export function topicName(number: number): string {
  return names[number]!;
}
