/**
 * Compares the built package with what lodash, RxJS and pacer really emitted. The native core is tested with the same
 * files.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { debounce, type Gated, type Host, throttle } from 'tidegate';

import { FakePlatform } from '../support/fake-platform.js';
import { VirtualHost } from '../support/virtual-host.js';

interface Vector {
  readonly id: string;
  readonly wait: number;
  readonly leading: boolean | null;
  readonly trailing: boolean | null;
  readonly maxWait: number | null;
  readonly calls: readonly (readonly [number, number])[];
  readonly actions: readonly (readonly [number, 'flush' | 'cancel'])[];
  readonly emits: readonly (readonly [number, number])[];
  readonly tie: 'timer-first' | 'call-first' | null;
  readonly horizon: number;
}

type Sink = (value: number) => void;

function edges(vector: Vector): { leading?: boolean; trailing?: boolean } {
  return {
    ...(vector.leading === null ? {} : { leading: vector.leading }),
    ...(vector.trailing === null ? {} : { trailing: vector.trailing }),
  };
}

const asThrottle = (vector: Vector, sink: Sink, host?: Host): Gated<Sink> =>
  throttle(sink, vector.wait, { ...edges(vector), host });

const asLodashThrottle = (vector: Vector, sink: Sink, host?: Host): Gated<Sink> =>
  throttle(sink, vector.wait, { ...edges(vector), compat: 'lodash', host });

const asDebounce = (vector: Vector, sink: Sink, host?: Host): Gated<Sink> =>
  debounce(sink, vector.wait, {
    ...edges(vector),
    ...(vector.maxWait === null ? {} : { maxWait: vector.maxWait }),
    host,
  });

/** The pacer's throttle agrees with ours if the leading edge is on, and without actions. */
const isCommonGround = (vector: Vector): boolean => vector.leading === true && vector.actions.length === 0;

const FILES = [
  { file: 'flow-rxjs-throttleTime', make: asThrottle, binds: () => true },
  { file: 'flow-pacer-throttle', make: asThrottle, binds: isCommonGround },
  { file: 'flow-lodash-throttle', make: asLodashThrottle, binds: () => true },
  { file: 'flow-lodash-debounce', make: asDebounce, binds: () => true },
  { file: 'flow-rxjs-debounceTime', make: asDebounce, binds: () => true },
] as const;

function load(file: string): Vector[] {
  const url = new URL(`../../../tests/vectors/${file}.jsonl.gz`, import.meta.url);
  const lines = gunzipSync(readFileSync(url)).toString().trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Vector);
}

/** The clock of a replay, which runs due timers as it advances. */
interface Time {
  now(): number;
  advanceTo(ms: number): void;
}

/** At the same instant, timers run first, then calls, then actions. */
function replay(vector: Vector, time: Time, make: (sink: Sink) => Gated<Sink>): [number, number][] {
  const start = time.now();
  const emits: [number, number][] = [];
  const gated = make((value) => emits.push([time.now() - start, value]));
  const steps = [
    ...vector.calls.map(([at, value]) => ({ at, run: () => void gated(value) })),
    ...vector.actions.map(([at, action]) => ({ at, run: () => void gated[action]() })),
  ].sort((a, b) => a.at - b.at);
  for (const { at, run } of steps) {
    time.advanceTo(start + at);
    run();
  }
  time.advanceTo(start + vector.horizon);
  return emits;
}

for (const { file, make, binds } of FILES) {
  const vectors = load(file).filter((vector) => vector.tie !== 'call-first' && binds(vector));

  test(`${file}: emits what the peer did`, () => {
    assert.ok(vectors.length > 100, `only ${vectors.length} vectors bind`);
    for (const vector of vectors) {
      const host = new VirtualHost();
      const emits = replay(vector, host, (sink) => make(vector, sink, host));
      assert.equal(JSON.stringify(emits), JSON.stringify(vector.emits), vector.id);
      assert.ok(host.armedMax <= 1, 'one timer is armed at a time');
    }
  });

  test(`${file}: emits what the peer did by the timers of the platform, where a test has replaced them`, (t) => {
    const platform = FakePlatform.install(t);
    for (const vector of vectors) {
      const emits = replay(vector, platform, (sink) => make(vector, sink));
      assert.equal(JSON.stringify(emits), JSON.stringify(vector.emits), vector.id);
      platform.advanceTo(platform.now() + 1_000_000);
    }
  });
}
