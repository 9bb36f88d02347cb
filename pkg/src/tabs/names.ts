/** Names for groups of tabs. */

/**
 * 128 random bits as text: a name for a group of tabs that only the group and the server know.
 *
 * @internal
 */
export function randomName(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

/**
 * A name that identifies the user of a token without revealing the token.
 *
 * @internal
 */
export async function userName(token: string): Promise<string> {
  // A page over plain HTTP lacks these functions.
  const hash = await globalThis.crypto?.subtle?.digest('SHA-256', new TextEncoder().encode(token));
  return hash === undefined ? mixed(token) : hex(new Uint8Array(hash));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A 64-bit hash by FNV-1a, twice: enough to distinguish the users of one browser, but not cryptographic. */
function mixed(text: string): string {
  const halves = [0x811c9dc5, 0x2f0b4a67].map((basis) => {
    let half = basis;
    for (let index = 0; index < text.length; index += 1) {
      half = Math.imul(half ^ text.charCodeAt(index), 0x01000193);
      half ^= half >>> 15;
    }
    return (half >>> 0).toString(16).padStart(8, '0');
  });
  return halves.join('');
}
