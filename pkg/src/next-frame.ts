/** The next frame of a host, and whose host that is. */

import type { Host } from './host.js';
import { FRAME_MS, platformFrame } from './platform-frame.js';

const hosts = new WeakMap<object, Host>();

/**
 * Notes whose frames pace what `subscriber` hands over.
 *
 * @internal
 */
export function noteHost(subscriber: object, host: Host): void {
  hosts.set(subscriber, host);
}

/**
 * Calls `callback` with the next of the frames that pace what `subscriber` hands over: the platform's, where it is not of this
 * package, or of another copy. Returns what prevents it.
 *
 * @internal
 */
export function nextFrameOf(subscriber: object, callback: () => void): () => void {
  const host = hosts.get(subscriber);
  return host === undefined ? platformFrame(callback) : nextFrame(host, callback);
}

/**
 * Calls `callback` with the next frame of `host`, and returns what prevents it.
 *
 * @internal
 */
export function nextFrame(host: Host, callback: () => void): () => void {
  if (host.requestFrame !== undefined) {
    return host.requestFrame(callback);
  }
  const timer = host.setTimer(callback, FRAME_MS);
  return () => host.clearTimer(timer);
}
