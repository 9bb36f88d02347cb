/** The next frame of a host, and which host paces which subscriber. */

import type { Host } from './host.js';
import { FRAME_MS, platformFrame } from './platform-frame.js';

const hosts = new WeakMap<object, Host>();

/**
 * Notes that frames of `host` pace the updates of `subscriber`.
 *
 * @internal
 */
export function noteHost(subscriber: object, host: Host): void {
  hosts.set(subscriber, host);
}

/**
 * Calls `callback` with the next frame of the host that paces `subscriber`; with the platform's, if the subscriber
 * isn't from this copy of the package. Returns a function that cancels the call.
 *
 * @internal
 */
export function nextFrameOf(subscriber: object, callback: () => void): () => void {
  const host = hosts.get(subscriber);
  return host === undefined ? platformFrame(callback) : nextFrame(host, callback);
}

/**
 * Calls `callback` with the next frame of `host`. Returns a function that cancels the call.
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
