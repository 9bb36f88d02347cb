/** The next frame of the screen, or a timer where there is none. */

/**
 * The length of a frame where none is drawn: in Node, in a worker without a screen, in a hidden page, or with a host
 * without frames. Milliseconds.
 *
 * @internal
 */
export const FRAME_MS = 16;

/**
 * How long a visible page may draw nothing (such as an iframe out of view) before a timer takes over, in milliseconds.
 */
const PATIENCE_MS = 1000;

/**
 * Calls `callback` when the next frame is drawn, or after a while if none is: browsers draw no frames for a hidden
 * page, and run its timers once per second or less. Returns a function that cancels the call.
 *
 * @internal
 */
export function platformFrame(callback: () => void): () => void {
  if (typeof requestAnimationFrame !== 'function') {
    const timer = setTimeout(callback, FRAME_MS);
    return () => clearTimeout(timer);
  }
  const forget = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  const draw = (): void => {
    forget();
    callback();
  };
  const isHidden = globalThis.document?.visibilityState === 'hidden';
  const frame = requestAnimationFrame(draw);
  const timer = setTimeout(draw, isHidden ? FRAME_MS : PATIENCE_MS);
  return forget;
}
