/** A module handles whatever it is passed: nothing breaks it, and it frees everything that it was given. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Caller } from '../support/boundary.js';
import { CALLS, OTHERS } from '../support/boundary-calls.js';

const MODULES = new URL('../../dist/wasm/', import.meta.url);

/** How many instances of each module are called, and how often. `TIDEGATE_SEEDS=100..200` runs other seeds. */
const SEEDS = 12;
const STEPS = 4_000;

const files = readdirSync(MODULES).filter((file) => file.endsWith('.wasm'));

function seeds(): number[] {
  const [first, last] = (process.env['TIDEGATE_SEEDS'] ?? `0..${SEEDS}`).split('..').map(Number);
  return Array.from({ length: last! - first! }, (_, index) => first! + index);
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('every call of every module is known here', () => {
  const exported = new Set<string>();
  for (const file of files) {
    const module = new WebAssembly.Module(readFileSync(new URL(file, MODULES)));
    for (const { kind, name } of WebAssembly.Module.exports(module)) {
      if (kind === 'function') {
        exported.add(name);
      }
    }
  }
  const known = [...Object.keys(CALLS), ...OTHERS];
  assert.deepEqual(known.toSorted(), [...exported].toSorted());
});

for (const file of files) {
  test(`whatever is passed to ${file}, it goes on and gives back what it was given`, () => {
    const module = new WebAssembly.Module(readFileSync(new URL(file, MODULES)));
    for (const seed of seeds()) {
      const caller = new Caller(module, random(seed));
      try {
        for (let step = 0; step < STEPS; step += 1) {
          caller.step();
        }
        caller.end();
      } catch (cause) {
        throw new Error(`seed ${seed} breaks ${file} by\n  ${caller.said.join('\n  ')}\n${cause}`, { cause });
      }
    }
  });
}
