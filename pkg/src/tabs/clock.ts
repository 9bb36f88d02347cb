/**
 * The timers of a page that shares a connection. A hidden page's own timers may be a minute late, but a worker's are
 * not: so a dedicated worker wakes the page while it is hidden.
 */

import { type Host, systemHost } from '../host.js';

interface Timer {
  readonly at: number;
  readonly fire: () => void;
  readonly own: unknown;
}

const timers = new Map<number, Timer>();
let lastNumber = 0;
let connections = 0;
let worker: Worker | undefined;

/**
 * The platform's timers, helped by the worker's while the page is hidden.
 *
 * @internal
 */
export const pageHost: Host = {
  ...systemHost,
  setTimer: (callback, delayMs) => {
    lastNumber += 1;
    const number = lastNumber;
    const fire = (): void => {
      forget(number);
      callback();
    };
    timers.set(number, { at: performance.now() + delayMs, fire, own: setTimeout(fire, delayMs) });
    worker?.postMessage([number, delayMs]);
    return number;
  },
  clearTimer: (number) => forget(number as number),
};

function forget(number: number): void {
  const timer = timers.get(number);
  timers.delete(number);
  systemHost.clearTimer(timer?.own);
}

/**
 * Keeps the page's timers punctual while it is hidden, until the returned function is called.
 *
 * @internal
 */
export function keepTime(): () => void {
  connections += 1;
  if (connections === 1) {
    document.addEventListener('visibilitychange', follow);
    addEventListener('pagehide', stop);
    addEventListener('pageshow', follow);
    follow();
  }
  return () => {
    connections -= 1;
    if (connections === 0) {
      document.removeEventListener('visibilitychange', follow);
      removeEventListener('pagehide', stop);
      removeEventListener('pageshow', follow);
      stop();
    }
  };
}

function follow(): void {
  if (document.visibilityState === 'visible') {
    stop();
  } else if (worker === undefined) {
    start();
  }
}

function start(): void {
  try {
    worker = new Worker(new URL('./clock-worker.js', import.meta.url), { type: 'module' });
  } catch {
    // Without the worker, the page's own timers fire, only later.
    return;
  }
  worker.addEventListener('error', stop);
  worker.addEventListener('message', ({ data }) => timers.get(data)?.fire());
  const now = performance.now();
  for (const [number, { at }] of timers) {
    worker.postMessage([number, Math.max(at - now, 0)]);
  }
}

function stop(): void {
  worker?.terminate();
  worker = undefined;
}
