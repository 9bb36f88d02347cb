/**
 * Who leads, as the core numbers it: the holder of a lock, whoever claims it, a worker that this tab attaches to, or
 * this worker.
 *
 * @internal
 */
export const Election = { Lock: 0, Claims: 1, Worker: 2, Host: 3 } as const;
