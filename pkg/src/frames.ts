/**
 * Converts frames between the text of the wire and the core. Their members cross one by one; the data of publications
 * stays in a slot.
 */

import { TidegateError } from './errors.js';
import type { ClientHub } from './machines.js';
import { endCode, isCount } from './options.js';
import type { Slots } from './slots.js';
import type { EndReason } from './types.js';

/** How many wildcard patterns are numbered before numbering starts over. */
const PATTERNS_MAX = 1024;

/** @internal */
export interface PublicationFrame {
  readonly type: 'pub';
  readonly topic: string;
  readonly epoch: number;
  readonly offset: number;
  readonly via?: string;
  readonly end?: EndReason;
  readonly data: unknown;
  /** A delta has these in place of data. */
  readonly base?: number;
  readonly delta?: unknown;
}

interface BatchFrame {
  readonly type: 'batch';
  readonly items: readonly PublicationFrame[];
  readonly via?: string;
}

/** A meta that joined, or, without data, one that left. */
interface PresenceItem {
  readonly key: string;
  readonly node: number;
  readonly clock: number;
  readonly data?: unknown;
}

interface PresenceFrame {
  readonly type: 'presence_state' | 'presence_diff';
  readonly topic: string;
  readonly present?: readonly PresenceItem[];
  readonly joins?: readonly PresenceItem[];
  readonly leaves?: readonly PresenceItem[];
}

interface OtherFrame {
  readonly type: string;
  readonly [member: string]: unknown;
}

type Frame = PublicationFrame | BatchFrame | PresenceFrame | OtherFrame;

/**
 * A message of the server: a frame, or an array of frames.
 *
 * @throws {@link TidegateError} with code `bad_frame`, if `text` is not a message.
 * @internal
 */
export function parseMessage(text: unknown): unknown {
  if (typeof text !== 'string') {
    throw new TidegateError('bad_frame', 'the server sent a message that is not text');
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TidegateError('bad_frame', 'the server sent a message that is not JSON', { cause });
  }
}

/**
 * Passes frames to one client hub of the core.
 *
 * @internal
 */
export class FrameIntake {
  readonly #patterns = new Map<string, number>();
  /** The slot of the publication that was passed on last. */
  slot = -1;

  /** Passes `frame` to the core, and returns the number of resulting records. */
  take(hub: ClientHub, nowMs: number, link: number, frame: unknown): number {
    if (typeof frame !== 'object' || frame === null) {
      throw new TidegateError('bad_frame', 'the server sent a frame that is not an object');
    }
    const typed = frame as Frame;
    if (isPublication(typed)) {
      return typed.delta === undefined
        ? this.#takePublication(hub, nowMs, link, typed)
        : this.#takeDelta(hub, nowMs, link, typed);
    }
    if (isBatch(typed)) {
      return this.#takeBatch(hub, nowMs, link, typed);
    }
    if (isPresence(typed)) {
      return takePresences(hub, nowMs, link, typed);
    }
    const [kind, about, via, message, epoch, offset, number, isSet] = members(typed);
    const { core } = hub;
    return core.attempt(() => {
      const texts = [about, via, message].map((text) => core.text(text)) as [number, number, number];
      return hub.handle_frame(nowMs, link, kind, ...texts, epoch, offset, number, isSet);
    });
  }

  #takePublication(hub: ClientHub, nowMs: number, link: number, frame: PublicationFrame): number {
    checkPublication(frame);
    const { core } = hub;
    return core.enter(() => {
      const via = this.#patternNumber(hub, frame.via);
      const topic = core.topicNumber(frame.topic);
      const slot = core.slots.put(frame.data);
      this.slot = slot;
      return hub.handle_publication(
        nowMs,
        link,
        via,
        topic,
        frame.epoch,
        frame.offset,
        endCode(frame.end),
        slot,
      );
    });
  }

  #takeDelta(hub: ClientHub, nowMs: number, link: number, frame: PublicationFrame): number {
    checkPublication({ ...frame, data: frame.delta });
    const { topic, epoch, offset, base } = frame;
    if (!Number.isSafeInteger(base)) {
      throw new TidegateError('bad_frame', 'the server sent a delta without its base');
    }
    const { core } = hub;
    return core.enter(() =>
      hub.handle_delta(
        nowMs,
        link,
        this.#patternNumber(hub, frame.via),
        core.topicNumber(topic),
        epoch,
        offset,
        base as number,
        core.slots.put(frame.delta),
      ),
    );
  }

  #takeBatch(hub: ClientHub, nowMs: number, link: number, frame: BatchFrame): number {
    frame.items.forEach(checkPublication);
    const { core } = hub;
    return core.enter(() => {
      try {
        for (const item of frame.items) {
          const topic = core.topicNumber(item.topic);
          hub.add_to_batch(topic, item.epoch, item.offset, endCode(item.end), core.slots.put(item.data));
        }
        const via = this.#patternNumber(hub, frame.via ?? frame.items[0]?.via);
        return hub.handle_batch(nowMs, link, via);
      } catch (error) {
        hub.drop_batch();
        throw error;
      }
    });
  }

  #patternNumber(hub: ClientHub, pattern: string | undefined): number {
    if (pattern === undefined) {
      return 0;
    }
    const known = this.#patterns.get(pattern);
    if (known !== undefined) {
      return known;
    }
    if (this.#patterns.size >= PATTERNS_MAX) {
      this.#patterns.clear();
      hub.forget_patterns();
    }
    const number = hub.core.attempt(() => hub.intern_pattern(hub.core.text(pattern)));
    this.#patterns.set(pattern, number);
    return number;
  }
}

function takePresences(hub: ClientHub, nowMs: number, link: number, frame: PresenceFrame): number {
  const isState = frame.type === 'presence_state';
  const joins = (isState ? frame.present : frame.joins) ?? [];
  const leaves = frame.leaves ?? [];
  checkPresences(frame, joins, leaves);
  const { core } = hub;
  return core.enter(() => {
    try {
      for (const { key, node, clock, data } of joins) {
        core.attempt(() => hub.add_join(core.text(key), node, clock, core.slots.put(data)));
      }
      for (const { key, node, clock } of leaves) {
        core.attempt(() => hub.add_leave(core.text(key), node, clock));
      }
      return hub.handle_presences(nowMs, link, core.topicNumber(frame.topic), isState);
    } catch (error) {
      hub.drop_presences();
      throw error;
    }
  });
}

/** The types of other frames, in the core's numbering, and the members that they require. */
const FRAMES: readonly (readonly [type: string, ...needed: string[]])[] = [
  ['welcome', 'heartbeat_ms'],
  ['subscribed', 'pattern'],
  ['unsubscribed', 'pattern'],
  ['reset', 'topic', 'epoch', 'offset'],
  ['lagged', 'pattern', 'missed'],
  ['end', 'pattern', 'reason'],
  ['published', 'ref', 'epoch', 'offset'],
  ['error', 'code', 'message'],
  ['ping'],
  ['pong'],
  ['drain'],
  ['stale'],
  ['live'],
];

type Members = [number, string, string, string, number, number, number, boolean];

/** The members of a frame in the order in which they cross: kind, about, via, message, epoch, offset, number, flag. */
function members(frame: OtherFrame): Members {
  const kind = FRAMES.findIndex(([type]) => type === frame.type);
  if (kind < 0) {
    throw new TidegateError('bad_frame', `the server sent a frame of the unknown type ${String(frame.type)}`);
  }
  const missing = FRAMES[kind]!.slice(1).find((member) => (frame[member] ?? undefined) === undefined);
  if (missing !== undefined) {
    throw new TidegateError('bad_frame', `the server sent a ${frame.type} frame without ${missing}`);
  }
  const all = { ...frame, ...(frame['position'] as object) } as OtherFrame;
  const text = (name: string): string => member(all, name, '', (value) => typeof value === 'string');
  const number = (name: string): number => member(all, name, Number.NaN, isCount);
  const flag = (name: string): boolean => member(all, name, false, (value) => typeof value === 'boolean');
  const reason = text('reason') as EndReason;
  return [
    kind,
    text('pattern') || text('topic'),
    text('code') || text('via'),
    text('message'),
    number(frame.type === 'welcome' ? 'message_bytes_max' : 'epoch'),
    number(frame.type === 'welcome' ? 'expires_in_ms' : 'offset'),
    reason
      ? endCode(reason)
      : (['heartbeat_ms', 'within_ms', 'missed', 'ref'].map(number).find((it) => it >= 0) ?? Number.NaN),
    flag('recovered') || flag('fatal'),
  ];
}

/** A member of a frame, or `absent`. */
function member<T>(frame: OtherFrame, name: string, absent: T, isSound: (value: unknown) => boolean): T {
  const value = frame[name];
  if (value === undefined || value === null) {
    return absent;
  }
  if (!isSound(value)) {
    throw new TidegateError(
      'bad_frame',
      `the server sent a ${frame.type} frame whose ${name} is ${String(value)}`,
    );
  }
  return value as T;
}

/**
 * Whether a frame is a publication, judging by its type.
 *
 * @internal
 */
export function isPublication(frame: unknown): frame is PublicationFrame {
  return (frame as Frame | null)?.type === 'pub';
}

/**
 * Why the server is about to close the connection, if the frame says so.
 *
 * @internal
 */
export function farewell(frame: unknown): string | undefined {
  const { type, fatal, code, message } = (frame ?? {}) as OtherFrame;
  return type === 'error' && fatal === true ? `${String(code)}: ${String(message)}` : undefined;
}

function isBatch(frame: Frame): frame is BatchFrame {
  return frame.type === 'batch' && Array.isArray((frame as BatchFrame).items);
}

function isPresence(frame: Frame): frame is PresenceFrame {
  return frame.type === 'presence_state' || frame.type === 'presence_diff';
}

function checkPresences(frame: PresenceFrame, joins: unknown, leaves: unknown): void {
  const isItem = ({ key, node, clock }: PresenceItem): boolean =>
    typeof key === 'string' && isCount(node) && isCount(clock);
  const isSound =
    typeof frame.topic === 'string' &&
    Array.isArray(joins) &&
    Array.isArray(leaves) &&
    joins.every((item: PresenceItem) => isItem(item) && item.data !== undefined) &&
    leaves.every(isItem);
  if (!isSound) {
    throw new TidegateError(
      'bad_frame',
      `the server sent a ${frame.type} frame without a topic, or with a presence without key, node, clock or data`,
    );
  }
}

function checkPublication(frame: PublicationFrame): void {
  const { topic, epoch, offset, data } = frame;
  const isSound =
    typeof topic === 'string' &&
    Number.isSafeInteger(epoch) &&
    Number.isSafeInteger(offset) &&
    data !== undefined;
  if (!isSound) {
    throw new TidegateError('bad_frame', 'the server sent a pub frame without topic, epoch, offset or data');
  }
}

/**
 * Outgoing data as JSON, encoded when it is published: later changes of the object don't matter.
 *
 * @internal
 */
export class Encoded {
  readonly json: string;

  /** Undefined becomes null. @throws what `JSON.stringify` throws, or a `TypeError` for data without a JSON form. */
  constructor(data: unknown) {
    const json = JSON.stringify(data ?? null);
    if (json === undefined) {
      throw new TypeError(`it is a ${typeof data}`);
    }
    this.json = json;
  }

  get bytes(): number {
    return new TextEncoder().encode(this.json).length;
  }
}

/**
 * Encodes data to be sent.
 *
 * @throws {@link TidegateError} with code `bad_data`.
 * @internal
 */
export function encode(data: unknown): Encoded {
  try {
    return new Encoded(data);
  } catch (cause) {
    throw new TidegateError('bad_data', `the data can't be published, as it is not JSON: ${String(cause)}`, {
      cause,
    });
  }
}

/**
 * The text of an outgoing frame, with the data of `slot` inserted; -1 means that it has none.
 *
 * @internal
 */
export function frameText(json: string, slots: Slots, slot: number): string {
  return slot < 0 ? json : `${json.slice(0, -1)},"data":${(slots.value(slot) as Encoded).json}}`;
}
