/** Combines waiting updates with the subscriber's own reducer. */

import { type Entry, handle } from './entry.js';
import { report } from './errors.js';
import type { Reducer, Update } from './types.js';

/** The result of a reducer, and the updates that it was made of. */
interface Reduced {
  readonly update: Update;
  readonly madeOf: readonly Update[];
}

/**
 * Reduces one emission's updates of a topic to one, with the newest one's position. If the reducer throws, that is
 * reported, and the result is split there.
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
 * Calls the handler of an entry with the reduced updates of a batch. If the handler throws at one, it still gets the
 * others.
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
