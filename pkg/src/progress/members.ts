/** Reading what anybody may have published: members of a wrong type count as absent. */

/** The members of what was published. */
export type Members = Readonly<Record<string, unknown>>;

/** The members of an object; none of anything else. */
export function membersOf(data: unknown): Members {
  return typeof data === 'object' && data !== null ? (data as Members) : {};
}

/** A member that is a number, and finite. */
export function numberOf(data: Members, name: string): number | undefined {
  const value = data[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A member that is a text, and not an empty one. */
export function textOf(data: Members, name: string): string | undefined {
  const value = data[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
