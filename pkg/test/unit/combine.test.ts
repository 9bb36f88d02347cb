import assert from 'node:assert/strict';
import { test } from 'node:test';

import { applyPatch, mergePatch, sumFields } from '../../dist/combine.js';

test('merging keeps null members, replaces arrays and recurses into objects', () => {
  assert.deepEqual(mergePatch({ a: 1, b: { c: 2, d: 3 } }, { b: { c: null }, e: [1] }), {
    a: 1,
    b: { c: null, d: 3 },
    e: [1],
  });
  assert.deepEqual(mergePatch({ a: 1 }, [1]), [1]);
  assert.equal(mergePatch(1, 'x'), 'x');
});

test('sums add numbers field by field and take the rest from the newer', () => {
  assert.deepEqual(sumFields({ n: 1, a: [1], o: { x: 1 } }, { n: 2, a: [2], o: { x: 2, y: 3 } }), {
    n: 3,
    a: [2],
    o: { x: 3, y: 3 },
  });
  assert.equal(sumFields(2, 3), 5);
  assert.equal(sumFields(2, '3'), '3');
});

test('a member named __proto__ is a member like any other', () => {
  const merged = mergePatch({ a: 1 }, JSON.parse('{"__proto__": {"polluted": true}}')) as object;
  assert.deepEqual(Object.keys(merged), ['a', '__proto__']);
  assert.equal(Object.getPrototypeOf(merged), Object.prototype);
});

test('a patch applied removes what is null, and replaces what is no object', () => {
  const base = { a: 1, b: { c: 2, d: 3 }, e: [1, 2] };
  assert.deepEqual(applyPatch(base, { a: null, b: { c: 5, d: null }, e: [3], f: { g: 1, h: null } }), {
    b: { c: 5 },
    e: [3],
    f: { g: 1 },
  });
  assert.deepEqual(base, { a: 1, b: { c: 2, d: 3 }, e: [1, 2] }, 'the base is left as it was');
  assert.deepEqual(applyPatch([1], { a: 1 }), { a: 1 });
  assert.equal(applyPatch(base, 7), 7);
});
