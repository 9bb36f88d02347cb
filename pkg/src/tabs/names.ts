/** Names that tabs have in common, and that tell one group of them from another. */

/**
 * 128 random bits as text: what the server knows a group of tabs by, and nobody else.
 *
 * @internal
 */
export function randomName(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

/**
 * What tells users apart without giving their tokens away.
 *
 * @internal
 */
export async function userName(token: string): Promise<string> {
  // A page that came over plain HTTP has no such functions.
  const hash = await globalThis.crypto?.subtle?.digest('SHA-256', new TextEncoder().encode(token));
  return hash === undefined ? mixed(token) : hex(new Uint8Array(hash));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** 64 bits of a text, by FNV-1a twice: enough to tell the users of one browser apart, and no secret. */
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
