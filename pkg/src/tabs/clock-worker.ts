/** The program of the worker that keeps a hidden page's time: it says each number back after as long as it is told. */

const scope = globalThis as unknown as Worker;

scope.addEventListener('message', ({ data: [number, delayMs] }: MessageEvent<[number, number]>) => {
  setTimeout(() => scope.postMessage(number), delayMs);
});

export {};
