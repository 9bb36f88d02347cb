/** Measures contenders in turns, so that a disturbance of the machine affects all of them. */

const ROUNDS = 60;

/** The shortest round of one contender, in milliseconds: short enough that some rounds are not disturbed. */
const ROUND_MS = 4;

/** The median of some numbers. */
export function median(numbers) {
  return quantile(numbers, 1 / 2);
}

function quantile(numbers, part) {
  const sorted = [...numbers].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length * part)];
}

/**
 * Nanoseconds per operation, by contender: the first quartile of its rounds, because other programs on the machine can
 * only slow a round down. A contender does as many operations as it is asked for; the first calls find out how many fit
 * into a round, and warm it up.
 */
export function interleave(contenders, { rounds = ROUNDS, operations } = {}) {
  const names = Object.keys(contenders);
  const counts = Object.fromEntries(
    names.map((name) => [name, operations ?? operationsPerRound(contenders[name])]),
  );
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // The order rotates, so that no contender always runs first.
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round) % names.length];
      taken[name].push((timed(contenders[name], counts[name]) * 1e6) / counts[name]);
    }
  }
  return Object.fromEntries(names.map((name) => [name, quantile(taken[name], 1 / 4)]));
}

function operationsPerRound(run) {
  let operations = 16;
  timed(run, operations * 1000);
  while (Math.min(...[1, 2, 3].map(() => timed(run, operations))) < ROUND_MS) {
    operations *= 2;
  }
  return operations;
}

/** How long `run` takes for this many operations, in milliseconds. */
export function timed(run, operations) {
  const start = performance.now();
  run(operations);
  return performance.now() - start;
}

/** Bytes of the JavaScript heap in use; NaN if the engine doesn't say. */
export function heapBytes() {
  globalThis.gc?.();
  return globalThis.process?.memoryUsage?.().heapUsed ?? performance.memory?.usedJSHeapSize ?? Number.NaN;
}
