/** The next frame of the screen, where the platform has one. */

/**
 * How long a frame is where none is drawn: in Node, in a worker without a screen, in a hidden page, by a host that has none.
 * Milliseconds.
 *
 * @internal
 */
export const FRAME_MS = 16;

/** How long a page that counts as visible may draw nothing (an iframe out of view, say) before a timer takes over. */
const PATIENCE_MS = 1000;

/**
 * Calls `callback` when the next frame is drawn, and where none is, after a while: browsers give a hidden page no
 * frames, and its timers one turn per second or less. Returns what prevents it.
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
