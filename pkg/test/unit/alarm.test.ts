/** The one timer of a host keeps a program of Node running while somebody waits for what it does, and no longer. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Alarm, type Host, type Sleeper } from '../../dist/host.js';

interface Timer {
  holds: boolean;
}

/** A host that stands still, and the timer that is set on it. */
function stillHost(): { host: Host; set: () => Timer | undefined } {
  let set: Timer | undefined;
  const host: Host = {
    now: () => 0,
    setTimer: () => {
      const timer = { holds: true, unref: () => (timer.holds = false) };
      set = timer;
      return timer;
    },
    clearTimer: () => {
      set = undefined;
    },
    random: () => 0,
  };
  return { host, set: () => set };
}

function sleeper(isAwaited: () => boolean): Sleeper {
  return { deadline: Number.POSITIVE_INFINITY, wake: () => {}, isAwaited };
}

test('a program may end while nobody waits for what is due', () => {
  const { host, set } = stillHost();
  Alarm.of(host).set(
    sleeper(() => false),
    100,
  );
  assert.equal(set()?.holds, false);
});

test('it may not once somebody waits, even for something later than what the timer is set for', () => {
  const { host, set } = stillHost();
  const alarm = Alarm.of(host);
  alarm.set(
    sleeper(() => false),
    100,
  );
  alarm.set(
    sleeper(() => true),
    200,
  );
  assert.equal(set()?.holds, true);
});

test('nor once something is waited for that is due together with what nobody waits for', () => {
  const { host, set } = stillHost();
  let isAwaited = false;
  const changing = sleeper(() => isAwaited);
  Alarm.of(host).set(changing, 100);
  assert.equal(set()?.holds, false);
  isAwaited = true;
  Alarm.of(host).set(changing, 100);
  assert.equal(set()?.holds, true);
});
