/**
 * Live progress in the browser and in Node.
 *
 * ```ts
 * import { connect } from 'tidegate';
 *
 * const tide = connect('http://127.0.0.1:8420');
 * for await (const update of tide.watch<Job>('job:42', { throttle: '1s' })) {
 *   show(update.data); // the loop ends by itself, after the job's last update
 * }
 * ```
 *
 * @packageDocumentation
 */

export { connect } from './connect.js';
export type { WasmSource } from './core.js';
export { type ReadyOptions, ready } from './engine.js';
export { type ErrorCode, TidegateError } from './errors.js';
export { type DebounceOptions, debounce, type Gated, type ThrottleOptions, throttle } from './gates.js';
export { type Host, systemHost } from './host.js';
export { createHub, type Hub, type HubOptions } from './local-hub.js';
export type * from './presence-types.js';
export type { WebSocketConstructor, WebSocketLike } from './socket.js';
export type * from './tide-types.js';
export type * from './types.js';
