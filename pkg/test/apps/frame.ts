/** Runs in a page: subscriptions paced by frames, with the frame of each delivery. */

import { connect, createHub, type Hub, ready } from 'tidegate';

interface Delivered {
  readonly n: number;
  /** The number of frames drawn before. */
  readonly frame: number;
  readonly ms: number;
  readonly end: string | undefined;
}

let frame = 0;
const count = (): void => {
  frame += 1;
  requestAnimationFrame(count);
};
// Requested first, so that it runs before any other callback of the frame.
requestAnimationFrame(count);

const delivered: Delivered[] = [];
let hub: Hub;

function note({ data, end }: { data: { n: number }; end?: string }): void {
  delivered.push({ n: data.n, frame, ms: performance.now(), end });
}

export function follow(server: string, topic: string): void {
  connect(server).subscribe<{ n: number }>(topic, { throttle: 'frame' }, note);
}

/**
 * Publishes `total` numbers within the page, about one per millisecond; returns how many frames were drawn meanwhile.
 */
export async function burst(total: number): Promise<number> {
  await ready();
  hub = createHub();
  hub.subscribe<{ n: number }>('local', { throttle: 'frame' }, note);
  const [first, began] = [frame, performance.now()];
  const channel = new MessageChannel();
  let published = 0;
  await new Promise<void>((resolve) => {
    channel.port1.onmessage = () => {
      while (published < total && published < performance.now() - began) {
        published += 1;
        hub.publish('local', { n: published });
      }
      if (published < total) {
        channel.port2.postMessage(0);
      } else {
        resolve();
      }
    };
    channel.port2.postMessage(0);
  });
  return frame - first;
}

/** Publishes the last number, and returns whether it was delivered at once. */
export function end(): boolean {
  hub.publish('local', { n: -1 });
  hub.publish('local', { n: -2 }, { end: 'complete' });
  return delivered.at(-1)?.n === -2 && delivered.at(-2)?.n === -1;
}

export function publish(n: number): void {
  hub.publish('local', { n });
}

export function taken(): { delivered: Delivered[]; frame: number; visibility: string } {
  return { delivered: delivered.splice(0), frame, visibility: document.visibilityState };
}
