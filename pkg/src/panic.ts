let last: string | undefined;

/**
 * For the core: what it says when it breaks.
 *
 * @internal
 */
export function note_panic(message: string): void {
  last = message;
}

/**
 * What the core said when it broke, once.
 *
 * @internal
 */
export function takePanic(): string | undefined {
  const message = last;
  last = undefined;
  return message;
}
