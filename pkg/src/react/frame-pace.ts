/** Shows changes at most once per frame. */

import { nextFrameOf } from '../next-frame.js';
import type { Subscriber } from '../types.js';

/**
 * A change is shown at once, unless something was already shown in this frame: then it is shown with the next one.
 *
 * @internal
 */
export class FramePace {
  readonly #from: Subscriber;
  readonly #show: () => void;
  /** Cancels the wait for the next frame. Undefined if nothing was shown in this one. */
  #forgetFrame: (() => void) | undefined;
  #isDue = false;

  constructor(from: Subscriber, show: () => void) {
    this.#from = from;
    this.#show = show;
  }

  /** Notes a change. With `isUrgent`, it is shown at once, with all changes that wait. */
  change(isUrgent: boolean): void {
    this.#isDue = true;
    if (isUrgent || this.#forgetFrame === undefined) {
      this.#showNow();
    }
  }

  /** Stops waiting for frames. */
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
