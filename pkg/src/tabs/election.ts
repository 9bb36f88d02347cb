/**
 * How the leader is found, in the core's numbering: the tab that holds a lock, the tab that claims to lead, a worker
 * that this tab attaches to, or this worker itself.
 *
 * @internal
 */
export const Election = { Lock: 0, Claims: 1, Worker: 2, Host: 3 } as const;
