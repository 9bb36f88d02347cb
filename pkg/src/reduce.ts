/** Updates that waited, made one by their subscriber's own function. */

import { type Entry, handle } from './entry.js';
import { report } from './errors.js';
import type { Reducer, Update } from './types.js';

/** What a reducer has made, and of what. */
interface Reduced {
  readonly update: Update;
  readonly madeOf: readonly Update[];
}

/**
 * One emission's updates of a topic as one, which stands where the newest of them does; as more than one where the reducer
 * throws, which is reported.
 *
 * @internal
 */
export function reduced(updates: readonly Update[], reduce: Reducer): Reduced[] {
  const results: Reduced[] = [];
  let madeOf: Update[] = [];
  let update: Update | undefined;
  for (const newer of updates) {
    if (update === undefined) {
      update = newer;
    } else {
      try {
        update = { ...newer, data: reduce(update.data, newer.data) };
      } catch (error) {
        report(error);
        results.push({ update, madeOf });
        update = newer;
        madeOf = [];
      }
    }
    madeOf.push(newer);
  }
  return update === undefined ? results : [...results, { update, madeOf }];
}

/**
 * Calls the handler of an entry with what its reducer makes of a batch. What the handler throws at one update keeps it from no
 * other.
 *
 * @internal
 */
export function handleReduced(entry: Entry, updates: readonly Update[], reduce: Reducer): void {
  if (!entry.active) {
    return;
  }
  for (const { update, madeOf } of reduced(updates, reduce)) {
    try {
      handle(entry, update, madeOf);
    } catch (error) {
      report(error);
    }
  }
}
