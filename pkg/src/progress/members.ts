/** Reads published data, which may be anything: members of a wrong type count as absent. */

/** The members of published data. */
export type Members = Readonly<Record<string, unknown>>;

/** The members of an object; none of anything else. */
export function membersOf(data: unknown): Members {
  return typeof data === 'object' && data !== null ? (data as Members) : {};
}

/** A member, if it is a finite number. */
export function numberOf(data: Members, name: string): number | undefined {
  const value = data[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A member, if it is a text that isn't empty. */
export function textOf(data: Members, name: string): string | undefined {
  const value = data[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
