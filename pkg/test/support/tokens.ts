/** Tokens as an application's login would issue them. */

import { createHmac } from 'node:crypto';

/** The secret with which a server under test checks tokens. */
export const SECRET = 'a secret of at least thirty-two bytes';

/** A token with these claims, which lasts an hour unless they say otherwise. */
export function token(claims: Readonly<Record<string, unknown>>): string {
  const inAnHour = Math.floor(Date.now() / 1000) + 3_600;
  const parts = [
    { alg: 'HS256', typ: 'JWT' },
    { exp: inAnHour, ...claims },
  ];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}
