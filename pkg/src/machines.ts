/** The exports of the WASM modules. `wasm/src` documents what each call does. */

import type { Core } from './core.js';

/**
 * A machine of a core. Each of its calls is bound to the machine's number.
 *
 * @internal
 */
export interface Machine {
  /** The core that runs it. */
  readonly core: Core;
}

/**
 * What hubs have in common.
 *
 * @internal
 */
export interface HubMachine extends Machine {
  handle_subscribe(nowMs: number, pattern: number, start: number): number;
  handle_flow(nowMs: number, subscription: number): number;
  handle_timeout(nowMs: number): number;
  handle_tick(nowMs: number): number;
  /** 0 or 1. Hubs without subscriptions don't have it. */
  wants_tick?(): number;
  drain(): number;
  poll_timeout(): number;
  free(): void;
}

/** @internal */
export interface ClientHub extends HubMachine {
  handle_connect(nowMs: number): number;
  handle_disconnect(nowMs: number): number;
  handle_hurry(nowMs: number): number;
  handle_pause(nowMs: number): number;
  handle_token(nowMs: number, request: number, token: number): number;
  handle_opened(nowMs: number, link: number): number;
  handle_closed(nowMs: number, link: number): number;
  handle_frame(
    nowMs: number,
    link: number,
    kind: number,
    about: number,
    via: number,
    message: number,
    epoch: number,
    offset: number,
    number: number,
    isSet: boolean,
  ): number;
  intern_pattern(text: number): number;
  forget_patterns(): void;
  handle_publication(
    nowMs: number,
    link: number,
    via: number,
    topic: number,
    epoch: number,
    offset: number,
    end: number,
    slot: number,
  ): number;
  handle_delta(
    nowMs: number,
    link: number,
    via: number,
    topic: number,
    epoch: number,
    offset: number,
    base: number,
    slot: number,
  ): number;
  handle_handed(heardMs: number, topic: number, epoch: number, offset: number, slot: number): void;
  add_to_batch(topic: number, epoch: number, offset: number, end: number, slot: number): void;
  drop_batch(): void;
  handle_batch(nowMs: number, link: number, via: number): number;
  handle_unsubscribe(nowMs: number, subscription: number): number;
  handle_handled(nowMs: number, subscription: number, topic: number, epoch: number, offset: number): number;
  handle_forget(nowMs: number, subscription: number): number;
  handle_move(nowMs: number): number;
  handle_publish(
    nowMs: number,
    topic: number,
    slot: number,
    end: number,
    id: number,
    restart: boolean,
  ): number;
  handle_track(nowMs: number, topic: number, key: number, slot: number): number;
  handle_retrack(nowMs: number, number: number, slot: number): number;
  handle_untrack(nowMs: number, number: number): number;
  handle_watch(nowMs: number, topic: number): number;
  handle_unwatch(nowMs: number, topic: number): number;
  add_join(key: number, node: number, clock: number, slot: number): number;
  add_leave(key: number, node: number, clock: number): number;
  drop_presences(): void;
  handle_presences(nowMs: number, link: number, topic: number, isState: boolean): number;
}

/**
 * A hub that shares its connection with other tabs.
 *
 * @internal
 */
export interface TabHub extends ClientHub {
  handle_page(nowMs: number, page: number): number;
  handle_granted(nowMs: number, request: number): number;
  handle_lost(nowMs: number, request: number): number;
  stage_sender(from: number, counter: number, leader: number): void;
  handle_said(nowMs: number, kind: number, isVisible: boolean, link: number): number;
  stage_member(tab: number, link: number): void;
  handle_lead(
    nowMs: number,
    group: number,
    state: number,
    attempt: number,
    code: number,
    message: number,
  ): number;
}

/**
 * A hub that may hold the connection for other tabs.
 *
 * @internal
 */
export interface LeaderHub extends TabHub {
  handle_said_token(nowMs: number, request: number, token: number): number;
  handle_up_subscribe(nowMs: number, link: number, pattern: number, start: number): number;
  handle_up_flow(nowMs: number, link: number, pattern: number): number;
  handle_up_publish(
    nowMs: number,
    link: number,
    request: number,
    topic: number,
    slot: number,
    end: number,
    id: number,
    restart: boolean,
  ): number;
  handle_up_track(
    nowMs: number,
    link: number,
    request: number,
    topic: number,
    key: number,
    slot: number,
  ): number;
  handle_up_watch(nowMs: number, link: number, request: number, topic: number, isWanted: boolean): number;
  handle_up(nowMs: number, link: number, kind: number, pattern: number, request: number): number;
}

/** @internal */
export interface LocalHub extends HubMachine {
  terminal_field(): void;
  handle_publish(
    nowMs: number,
    topic: number,
    slot: number,
    end: number,
    status: number,
    id: number,
    restart: boolean,
  ): number;
  handle_handed(atMs: number, topic: number, offset: number, slot: number, isLast: boolean): void;
  handle_unsubscribe(subscription: number): number;
  /** 0 or 1. */
  is_holding(): number;
}

/** @internal */
export interface FunctionGates extends Machine {
  throttle(everyMs: number, leading: boolean, trailing: boolean): number;
  debounce(quietMs: number, maxWaitMs: number, leading: boolean, trailing: boolean): number;
  handle_call(nowMs: number, gate: number, slot: number): number;
  /** Tells of the last call that was held while a gate rested. */
  handle_held(atMs: number, gate: number, slot: number): void;
  handle_flush(nowMs: number, gate: number): number;
  handle_cancel(nowMs: number, gate: number): number;
  handle_timeout(nowMs: number): number;
  /** 0 or 1. */
  is_pending(gate: number): number;
  poll_timeout(): number;
}

/**
 * What a module exports, apart from the calls of its machines.
 *
 * @internal
 */
export interface Exports {
  readonly memory: { readonly buffer: ArrayBufferLike };
  stage_text(bytes: number): number;
  text_at(text: number): number;
  told_at(): number;
  told_length(): number;
  records_at(): number;
  intern_topic(text: number): number;
  sweep_topics(): number;
  stage_flow(
    byFrames: boolean,
    throttleMs: number,
    debounceMs: number,
    maxWaitMs: number,
    leading: number,
    trailing: number,
    conflate: number,
    max: number,
    delta: boolean,
  ): void;
  stage_position(topic: number, epoch: number, offset: number): void;
  /** 0 or 1: whether the name is valid. */
  stage_durable(name: number): number;
  stage_slow(number: number): void;
  /** How long getting a token may take. */
  token_timeout_ms(): number;
  panic_on_purpose(): void;
  client_new(seed: number, token: number, asks: boolean, name: number): number;
  client_shared(
    seed: number,
    token: number,
    asks: boolean,
    name: number,
    tab: number,
    election: number,
    generation: number,
    group: number,
  ): number;
  hub_new(seed: number, kept: number): number;
  gates_new(): number;
}
