/** Showing once a frame at most, however much changes in it. */

import { nextFrameOf } from '../next-frame.js';
import type { Subscriber } from '../types.js';

/**
 * What changes is shown at once, unless something was in this frame: then with the next.
 *
 * @internal
 */
export class FramePace {
  readonly #from: Subscriber;
  readonly #show: () => void;
  /** Prevents the next frame from being noticed. Without it, nothing was shown in this one. */
  #forgetFrame: (() => void) | undefined;
  #isDue = false;

  constructor(from: Subscriber, show: () => void) {
    this.#from = from;
    this.#show = show;
  }

  /** Something has changed. With `isUrgent` it is not to wait, nor is what has changed before. */
  change(isUrgent: boolean): void {
    this.#isDue = true;
    if (isUrgent || this.#forgetFrame === undefined) {
      this.#showNow();
    }
  }

  /** Waits for no frame any more: what has changed is shown. */
  stop(): void {
    this.#forgetFrame?.();
    this.#forgetFrame = undefined;
    if (this.#isDue) {
      this.#isDue = false;
      this.#show();
    }
  }

  #showNow(): void {
    this.#isDue = false;
    this.#forgetFrame ??= nextFrameOf(this.#from, () => {
      this.#forgetFrame = undefined;
      if (this.#isDue) {
        this.#showNow();
      }
    });
    this.#show();
  }
}
