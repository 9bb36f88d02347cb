/** How a connection shares, depending on the platform's features. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { Election } from '../../dist/tabs/election.js';
import { findMembership } from '../../dist/tabs/membership.js';

/** Sets these globals until the test is over. */
function pretend(t: TestContext, globals: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.after(() => {
      delete (globalThis as Record<string, unknown>)[name];
      if (before !== undefined) {
        Object.defineProperty(globalThis, name, before);
      }
    });
  }
}

test('where there is no lock to be had, tabs claim the lead', (t) => {
  const wanted = { url: 'ws://example.test/ws', token: undefined, asks: false, user: '', isOrdinary: true };
  for (const [navigator, election] of [
    [{ locks: {} }, Election.Lock],
    [{}, Election.Claims],
    // As in browser emulations.
    [{ locks: null }, Election.Claims],
  ] as const) {
    pretend(t, { document: {}, navigator });
    assert.equal(findMembership('leader', wanted)?.election, election, JSON.stringify(navigator));
  }
});
