/** The worker that keeps a hidden page's time: it sends each number back after the given delay. */

const scope = globalThis as unknown as Worker;

scope.addEventListener('message', ({ data: [number, delayMs] }: MessageEvent<[number, number]>) => {
  setTimeout(() => scope.postMessage(number), delayMs);
});

export {};
