/**
 * A clock that counts frames, for the gates of the core that pace by frames: there, a throttle of 1 is one emission per
 * frame. It stands still while nothing waits for a frame.
 */

import { Alarm, type Host, type Sleeper } from './host.js';
import { nextFrame } from './next-frame.js';

const hosts = new WeakMap<Host, Host>();

/**
 * `host` with a clock that counts its frames; always the same object for the same host.
 *
 * @internal
 */
export function frameHost(host: Host): Host {
  let counting = hosts.get(host);
  if (counting === undefined) {
    counting = countingFrames(host);
    hosts.set(host, counting);
  }
  return counting;
}

function countingFrames(host: Host): Host {
  let frames = 0;
  return {
    now: () => frames,
    setTimer: (callback) =>
      nextFrame(host, () => {
        frames += 1;
        callback();
      }),
    clearTimer: (forget) => (forget as () => void)(),
    random: () => host.random(),
  };
}

/**
 * Requests one frame after the other for as long as they are wanted.
 *
 * @internal
 */
export class FrameWaiter implements Sleeper {
  deadline = Number.POSITIVE_INFINITY;
  readonly #frames: Host;
  readonly #alarm: Alarm;
  /** Called with each frame. */
  readonly wake: () => void;

  constructor(host: Host, wake: () => void) {
    this.#frames = frameHost(host);
    this.#alarm = Alarm.of(this.#frames);
    this.wake = wake;
  }

  /** Requests the next frame, or cancels the request. */
  want(isWanted: boolean): void {
    this.#alarm.set(this, isWanted ? this.#frames.now() + 1 : Number.POSITIVE_INFINITY);
  }

  isAwaited(): boolean {
    return true;
  }
}
