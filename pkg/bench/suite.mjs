/** All cases, for Node and for a page alike. */

import { ready } from 'tidegate';

import { publish } from './cases/publish.mjs';
import { receive } from './cases/receive.mjs';
import { throttles } from './cases/throttle.mjs';

const CASES = { publish, throttles, receive };

/** The tables of the cases whose names contain one of these words; of all, if there are none. */
export async function suite(names) {
  await ready();
  const tables = [];
  for (const [name, run] of Object.entries(CASES)) {
    if (names.length === 0 || names.some((word) => name.includes(word))) {
      tables.push(await run());
    }
  }
  return tables;
}
