/**
 * Combines two JSON values: for the conflations `merge` and `sum`, and to apply deltas.
 *
 * Neither input is changed: subscribers may hold both.
 */

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets an own member, whatever its name: plain assignment to `__proto__` would set the prototype. */
function setMember(target: Members, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[name] = value;
  }
}

function combineObjects(
  older: Members,
  newer: Members,
  combine: (older: unknown, newer: unknown) => unknown,
): Members {
  const result: Members = {};
  for (const name of Object.keys(older)) {
    setMember(result, name, older[name]);
  }
  for (const name of Object.keys(newer)) {
    const both = Object.hasOwn(older, name);
    setMember(result, name, both ? combine(older[name], newer[name]) : newer[name]);
  }
  return result;
}

/**
 * `newer` merged over `older` as RFC 7396 merge patches are, with every `null` member kept: the result is
 * itself a patch, and applying it equals applying both in order.
 *
 * @internal
 */
export function mergePatch(older: unknown, newer: unknown): unknown {
  return isObject(older) && isObject(newer) ? combineObjects(older, newer, mergePatch) : newer;
}

/**
 * `base` with a patch applied as RFC 7396 says: a `null` member removes.
 *
 * @internal
 */
export function applyPatch(base: unknown, patch: unknown): unknown {
  if (!isObject(patch)) {
    return patch;
  }
  const older = isObject(base) ? base : {};
  const result: Members = {};
  for (const name of Object.keys(older)) {
    if (!Object.hasOwn(patch, name)) {
      setMember(result, name, older[name]);
    } else if (patch[name] !== null) {
      setMember(result, name, applyPatch(older[name], patch[name]));
    }
  }
  for (const name of Object.keys(patch)) {
    if (patch[name] !== null && !Object.hasOwn(older, name)) {
      setMember(result, name, applyPatch(undefined, patch[name]));
    }
  }
  return result;
}

/**
 * `older` and `newer` added up: numbers add, objects recurse, anything else is taken from `newer`.
 *
 * @internal
 */
export function sumFields(older: unknown, newer: unknown): unknown {
  if (typeof older === 'number' && typeof newer === 'number') {
    return older + newer;
  }
  return isObject(older) && isObject(newer) ? combineObjects(older, newer, sumFields) : newer;
}
