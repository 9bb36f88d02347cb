/** What tabs say to each other, between its text and the core. */

import { attempt, core } from '../engine.js';
import { stageFlow } from '../entry.js';
import { Encoded, type FrameIntake } from '../frames.js';
import { endCode, type FlowSpec } from '../options.js';
import { putSlot, slotValue } from '../slots.js';
import { topicNumber } from '../topics.js';
import type { EndReason } from '../types.js';
import type { ClientHub } from '../wasm/tidegate.js';

/** The version of this vocabulary, as the core's. */
export const TABS_VERSION = 1;

/** Where the core leaves a hole in its texts. */
const HOLE = '\u0001';

/** What the core takes for the transport of a frame that another tab has handed down. */
const LINK_OF_TABS = 2 ** 32 - 1;

/** What needs no more than two members to tell, as the core numbers it. */
const SAYINGS = ['probe', 'alive', 'bye', 'claim', 'yield', 'tick', 'join', 'joined', 'gone'];

/** Frames of members that need no more than two members to tell, likewise. */
const PLAIN_FRAMES = ['hello', 'unsubscribe', 'untrack', 'ping', 'pong'];

interface UpFrame {
  readonly type: string;
  readonly pattern?: string;
  readonly flow?: FlowSpec;
  readonly since?: readonly { readonly topic: string; readonly epoch: number; readonly offset: number }[];
  readonly latest?: boolean;
  readonly ref?: number;
  readonly topic?: string;
  readonly key?: string;
  readonly end?: EndReason;
  readonly id?: string;
  readonly restart?: boolean;
  readonly data?: unknown;
}

/**
 * A message of another tab, as it is read.
 *
 * @internal
 */
export interface TabMessage {
  readonly version: number;
  readonly from: number;
  readonly to?: number;
  readonly counter: number;
  readonly leader: number;
  readonly say: string;
  readonly visible?: boolean;
  readonly link?: number;
  readonly group?: string;
  readonly state?: number;
  readonly attempt?: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly members?: readonly { readonly tab: number; readonly link: number }[];
  readonly frame?: UpFrame;
}

/**
 * A text of the core's with the data of these slots in its holes.
 *
 * @internal
 */
export function fillHoles(text: string, slots: readonly number[]): string {
  if (slots.length === 0) {
    return text;
  }
  const parts = text.split(HOLE);
  return parts.map((part, index) => (index === 0 ? part : dataText(slots[index - 1]!) + part)).join('');
}

function dataText(slot: number): string {
  const value = slotValue(slot);
  return value instanceof Encoded ? value.json : JSON.stringify(value);
}

/**
 * What concerns `tab` of what was said together. What is of another version, or no text of tabs, is no concern of
 * anybody here.
 *
 * @internal
 */
export function parseSaid(text: unknown, tab: number): readonly TabMessage[] {
  const said = parse(text);
  const concerns = ({ version, to }: TabMessage): boolean =>
    version === TABS_VERSION && (to === undefined || to === tab);
  return Array.isArray(said) ? said.filter(concerns) : [];
}

function parse(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}

/**
 * Hands a message to the core, and says how many records came of it.
 *
 * @internal
 */
export function hear(hub: ClientHub, intake: FrameIntake, nowMs: number, message: TabMessage): number {
  const { say, link = 0, frame } = message;
  hub.stage_sender(message.from, message.counter, message.leader);
  const saying = SAYINGS.indexOf(say);
  if (saying >= 0) {
    return attempt(() => hub.handle_said(nowMs, saying, message.visible ?? false, link));
  }
  switch (say) {
    case 'down':
      return intake.take(hub, nowMs, LINK_OF_TABS, frame);
    case 'up':
      return attempt(() => hearUp(hub, nowMs, link, frame!));
    case 'lead': {
      const { group = '', state = 0, attempt: failures = 0, error, members = [] } = message;
      const pairs = Float64Array.from(members.flatMap(({ tab, link }) => [tab, link]));
      return attempt(() =>
        hub.handle_lead(nowMs, group, state, failures, error?.code ?? '', error?.message ?? '', pairs),
      );
    }
    default:
      return 0;
  }
}

function hearUp(hub: ClientHub, nowMs: number, link: number, frame: UpFrame): number {
  const { type, pattern = '', topic = '', ref = 0 } = frame;
  const plain = PLAIN_FRAMES.indexOf(type);
  if (plain >= 0) {
    return hub.handle_up(nowMs, link, plain, pattern, ref);
  }
  switch (type) {
    case 'subscribe': {
      const since = frame.since?.map((position) => [topicNumber(position.topic), position] as const);
      stageFlow(frame.flow);
      for (const [number, { epoch, offset }] of since ?? []) {
        core().stage_position(number, epoch, offset);
      }
      const start = since === undefined ? Number(frame.latest === false) : 2;
      return hub.handle_up_subscribe(nowMs, link, pattern, start);
    }
    case 'flow':
      stageFlow(frame.flow);
      return hub.handle_up_flow(nowMs, link, pattern);
    case 'publish': {
      const { end, id, restart = false } = frame;
      const number = topicNumber(topic);
      const slot = putSlot(new Encoded(frame.data));
      return hub.handle_up_publish(nowMs, link, ref, number, slot, endCode(end), id, restart);
    }
    case 'track': {
      const number = topicNumber(topic);
      return hub.handle_up_track(nowMs, link, ref, number, frame.key ?? '', putSlot(new Encoded(frame.data)));
    }
    case 'watch':
    case 'unwatch':
      return hub.handle_up_watch(nowMs, link, ref, topicNumber(topic), type === 'watch');
    default:
      return 0;
  }
}
