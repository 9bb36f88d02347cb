/** Converts the messages of tabs between their text and the core. */

import { stageDurable, stageFlow, stagePositions, stageSlow } from '../entry.js';
import { Encoded, type FrameIntake } from '../frames.js';
import type { LeaderHub, TabHub } from '../machines.js';
import { endCode, type FlowSpec } from '../options.js';
import type { Slots } from '../slots.js';
import type { PublishOptions, Slow, TopicPosition } from '../types.js';

/** The version of these messages, the same as the core's. */
export const TABS_VERSION = 1;

/**
 * A message that the core knows nothing of: the socket was lost, or the server refused the connection, and why. Tabs
 * that don't know it ignore it.
 *
 * @internal
 */
export const LOST = 'lost';

/** Marks the places in the core's texts where data is to be inserted. */
const HOLE = '\u0001';

/** The link that the core expects for a frame that the leader has passed down. */
const LINK_OF_TABS = 2 ** 32 - 1;

/** The messages that need at most two members, in the core's numbering. */
const SAYINGS = ['probe', 'alive', 'bye', 'claim', 'yield', 'tick', 'join', 'joined', 'gone', 'ask'];

/** The frames from members that need at most two members, in the core's numbering. */
const PLAIN_FRAMES = ['hello', 'unsubscribe', 'untrack', 'ping', 'pong', 'ack', 'forget'];

interface UpFrame {
  readonly type: string;
  readonly pattern?: string;
  readonly flow?: FlowSpec;
  readonly since?: readonly TopicPosition[];
  readonly durable?: string;
  readonly slow?: Slow;
  readonly positions?: readonly TopicPosition[];
  readonly latest?: boolean;
  readonly ref?: number;
  readonly topic?: string;
  readonly key?: string;
  readonly end?: PublishOptions['end'];
  readonly id?: string;
  readonly restart?: boolean;
  readonly data?: unknown;
}

/**
 * A message of another tab.
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
  readonly reason?: string;
  readonly refused?: boolean;
  readonly visible?: boolean;
  readonly link?: number;
  readonly token?: string;
  readonly group?: string;
  readonly state?: number;
  readonly attempt?: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly members?: readonly { readonly tab: number; readonly link: number }[];
  readonly frame?: UpFrame;
}

/**
 * Inserts the data of these slots into a text of the core.
 *
 * @internal
 */
export function fillHoles(text: string, slots: Slots, holes: readonly number[]): string {
  if (holes.length === 0) {
    return text;
  }
  const parts = text.split(HOLE);
  return parts
    .map((part, index) => (index === 0 ? part : dataText(slots.value(holes[index - 1]!)) + part))
    .join('');
}

function dataText(value: unknown): string {
  return value instanceof Encoded ? value.json : JSON.stringify(value);
}

/**
 * Parses what another tab has sent, and returns the messages for `tab`. Anything of another version, or that isn't a
 * message at all, is ignored.
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
 * Passes a message to the core, and returns the number of resulting records.
 *
 * @internal
 */
export function hear(hub: TabHub, intake: FrameIntake, nowMs: number, message: TabMessage): number {
  const { core } = hub;
  const { say, link = 0, frame } = message;
  hub.stage_sender(message.from, message.counter, message.leader);
  const saying = SAYINGS.indexOf(say);
  if (saying >= 0) {
    return core.attempt(() => hub.handle_said(nowMs, saying, message.visible ?? false, link));
  }
  switch (say) {
    case 'down':
      return intake.take(hub, nowMs, LINK_OF_TABS, frame);
    case 'up':
      return leads(hub) ? core.attempt(() => hearUp(hub, nowMs, link, frame!)) : 0;
    case 'token':
      return leads(hub) ? core.enter(() => hub.handle_said_token(nowMs, link, core.text(message.token))) : 0;
    case 'lead': {
      const { group = '', state = 0, attempt: failures = 0, error, members = [] } = message;
      return core.attempt(() => {
        for (const member of members) {
          hub.stage_member(member.tab, member.link);
        }
        const [code, text] = [core.text(error?.code), core.text(error?.message)];
        return hub.handle_lead(nowMs, core.text(group), state, failures, code, text);
      });
    }
    default:
      return 0;
  }
}

/** Whether a hub may hold the connection; that of a tab with a worker may not. */
function leads(hub: TabHub): hub is LeaderHub {
  return 'handle_up' in hub;
}

function hearUp(hub: LeaderHub, nowMs: number, link: number, frame: UpFrame): number {
  const { core } = hub;
  const { type, pattern = '', topic = '', ref = 0 } = frame;
  const plain = PLAIN_FRAMES.indexOf(type);
  if (plain >= 0) {
    if (frame.positions !== undefined) {
      stagePositions(core, undefined, frame.positions);
    }
    return hub.handle_up(nowMs, link, plain, core.text(pattern), ref);
  }
  switch (type) {
    case 'subscribe': {
      stagePositions(core, frame.flow, frame.since ?? []);
      stageDurable(core, frame.durable);
      stageSlow(core, frame.slow);
      const start = frame.since === undefined ? Number(frame.latest === false) : 2;
      return hub.handle_up_subscribe(nowMs, link, core.text(pattern), start);
    }
    case 'flow':
      stageFlow(core, frame.flow);
      return hub.handle_up_flow(nowMs, link, core.text(pattern));
    case 'publish': {
      const { end, id, restart = false } = frame;
      const number = core.topicNumber(topic);
      const slot = core.slots.put(new Encoded(frame.data));
      const key = core.text(id);
      return hub.handle_up_publish(nowMs, link, ref, number, slot, endCode(end), key, restart);
    }
    case 'track': {
      const number = core.topicNumber(topic);
      const key = core.text(frame.key ?? '');
      return hub.handle_up_track(nowMs, link, ref, number, key, core.slots.put(new Encoded(frame.data)));
    }
    case 'watch':
    case 'unwatch':
      return hub.handle_up_watch(nowMs, link, ref, core.topicNumber(topic), type === 'watch');
    default:
      return 0;
  }
}
