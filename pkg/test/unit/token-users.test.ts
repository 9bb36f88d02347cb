/** The user of a token: which tabs share a connection, and which token may follow another one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Tokens } from '../../dist/tokens.js';

function token(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part(claims)}.signature`;
}

const user = (claims: object): Promise<string | undefined> =>
  new Tokens(
    () => token(claims),
    () => {},
  ).user();

const ADA = { iss: 'login', sub: 'ada', subscribe: ['job:*'], exp: 1 };

test('those share whose tokens say the same of them, whatever else is new in each', async () => {
  const ada = await user(ADA);
  assert.equal(
    await user({ sub: 'ada', uti: 'x1', subscribe: ['job:*'], exp: 2, iss: 'login', jti: '7' }),
    ada,
  );
  for (const other of [{ sub: 'bob' }, { iss: 'shop' }, { subscribe: ['**'] }, { org_id: 'two' }]) {
    assert.notEqual(await user({ ...ADA, ...other }), ada);
  }
});

test('a token follows on one of the same user, whatever they may do now, and on no other', async () => {
  const wrong: string[] = [];
  const given = [
    ADA,
    ADA,
    { ...ADA, subscribe: ['**'], serial: 2 },
    { ...ADA, sub: 'bob' },
    { ...ADA, iss: 'x' },
    ADA,
  ];
  let asked = 0;
  const tokens = new Tokens(
    () => token(given[asked++]!),
    ({ code, message }) => wrong.push(`${code}: ${message}`),
  );
  await tokens.user();
  assert.equal(await tokens.next(), token(ADA), 'the one that was asked for to learn the user');
  assert.equal(asked, 1);
  assert.equal(await tokens.next(), token(ADA));
  assert.equal(await tokens.next(), token(given[2]!));
  assert.deepEqual(wrong, []);
  for (const _ of ['bob', 'another issuer']) {
    assert.equal(await tokens.next(), undefined);
    assert.match(wrong.pop() ?? '', /^unauthorized: .*another user/);
  }
  assert.equal(await tokens.next(), token(ADA));
});

test('where tokens name nobody, all that they say tells users apart', async () => {
  const given = [
    { room: 1, exp: 1 },
    { room: 1, exp: 2 },
    { room: 2, exp: 3 },
  ];
  let asked = 0;
  let wrong = 0;
  const tokens = new Tokens(
    () => token(given[asked++]!),
    () => {
      wrong += 1;
    },
  );
  await tokens.user();
  await tokens.next();
  assert.equal(await tokens.next(), token(given[1]!));
  assert.equal(await tokens.next(), undefined);
  assert.equal(wrong, 1);
});
