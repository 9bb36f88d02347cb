/** What a module exports, called with anything that JavaScript can pass, and the books that are kept of what it is given. */

import assert from 'node:assert/strict';

/**
 * What an argument is. `machine`, `gate` and `topic` are numbers that the module gave, and `slot` one that it does not hold: the
 * package makes no others up. All else may be anything: what users, servers and other tabs say ends up there.
 */
type Argument =
  | 'machine'
  | 'gate'
  | 'topic'
  | 'slot'
  | 'text'
  | 'now'
  | 'number'
  | 'code'
  | 'flag'
  | 'election';

/** What a call returns: how many records it leaves, likewise or -1 for failed, a number of something, or anything else. */
type Returned =
  | 'records'
  | 'records?'
  | 'client'
  | 'hub'
  | 'gates'
  | 'topic'
  | 'gate'
  | 'failure?'
  | 'freed'
  | 'other';

const machine = (returned: Returned, ...passed: Argument[]): Signature => [returned, 'machine', ...passed];

type Signature = readonly [Returned, ...Argument[]];

/** Every call, by its name. */
export const CALLS: Readonly<Record<string, Signature>> = {
  intern_topic: ['topic', 'text'],
  sweep_topics: ['records'],
  stage_flow: ['other', 'flag', 'number', 'number', 'number', 'code', 'code', 'code', 'number', 'flag'],
  stage_durable: ['other', 'text'],
  stage_slow: ['other', 'code'],
  stage_position: ['other', 'topic', 'number', 'number'],

  client_new: ['client', 'number', 'text', 'flag', 'text'],
  client_shared: ['client', 'number', 'text', 'flag', 'text', 'number', 'election', 'number', 'text'],
  client_free: machine('freed'),
  client_handle_connect: machine('records', 'now'),
  client_handle_disconnect: machine('records', 'now'),
  client_handle_opened: machine('records', 'now', 'code'),
  client_handle_closed: machine('records', 'now', 'code'),
  client_handle_frame: machine(
    'records?',
    'now',
    'code',
    'code',
    'text',
    'text',
    'text',
    'number',
    'number',
    'number',
    'flag',
  ),
  client_intern_pattern: machine('failure?', 'text'),
  client_forget_patterns: machine('other'),
  client_handle_publication: machine(
    'records',
    'now',
    'code',
    'code',
    'topic',
    'number',
    'number',
    'code',
    'slot',
  ),
  client_handle_delta: machine(
    'records',
    'now',
    'code',
    'code',
    'topic',
    'number',
    'number',
    'number',
    'slot',
  ),
  client_handle_handed: machine('other', 'now', 'topic', 'number', 'number', 'slot'),
  client_add_to_batch: machine('other', 'topic', 'number', 'number', 'code', 'slot'),
  client_drop_batch: machine('other'),
  client_handle_batch: machine('records', 'now', 'code', 'code'),
  client_handle_timeout: machine('records', 'now'),
  client_drain: machine('records'),
  client_poll_timeout: machine('other'),
  client_handle_token: machine('records', 'now', 'code', 'text'),
  client_handle_subscribe: machine('failure?', 'now', 'text', 'code'),
  client_handle_unsubscribe: machine('records', 'now', 'code'),
  client_handle_handled: machine('records', 'now', 'code', 'topic', 'number', 'number'),
  client_handle_forget: machine('records', 'now', 'code'),
  client_handle_flow: machine('failure?', 'now', 'code'),
  client_handle_publish: machine('other', 'now', 'topic', 'slot', 'code', 'text', 'flag'),
  client_handle_tick: machine('records', 'now'),
  client_wants_tick: machine('other'),
  client_handle_track: machine('failure?', 'now', 'topic', 'text', 'slot'),
  client_handle_retrack: machine('records', 'now', 'number', 'slot'),
  client_handle_untrack: machine('records', 'now', 'number'),
  client_handle_watch: machine('records', 'now', 'topic'),
  client_handle_unwatch: machine('records', 'now', 'topic'),
  client_add_join: machine('failure?', 'text', 'number', 'number', 'slot'),
  client_add_leave: machine('failure?', 'text', 'number', 'number'),
  client_drop_presences: machine('other'),
  client_handle_presences: machine('records', 'now', 'code', 'topic', 'flag'),
  client_handle_granted: machine('records', 'now', 'code'),
  client_handle_lost: machine('records', 'now', 'code'),
  client_handle_page: machine('records', 'now', 'code'),
  client_stage_sender: machine('other', 'number', 'number', 'number'),
  client_handle_said: machine('records', 'now', 'code', 'flag', 'code'),
  client_stage_member: machine('other', 'number', 'code'),
  client_handle_lead: machine('records', 'now', 'text', 'code', 'code', 'text', 'text'),
  client_handle_said_token: machine('records', 'now', 'code', 'text'),
  client_handle_up_subscribe: machine('records?', 'now', 'code', 'text', 'code'),
  client_handle_up_flow: machine('records?', 'now', 'code', 'text'),
  client_handle_up_publish: machine(
    'records?',
    'now',
    'code',
    'number',
    'topic',
    'slot',
    'code',
    'text',
    'flag',
  ),
  client_handle_up_track: machine('records?', 'now', 'code', 'number', 'topic', 'text', 'slot'),
  client_handle_up_watch: machine('records?', 'now', 'code', 'number', 'topic', 'flag'),
  client_handle_up: machine('records?', 'now', 'code', 'code', 'text', 'number'),

  hub_new: ['hub', 'number'],
  hub_free: machine('freed'),
  hub_terminal_field: machine('other'),
  hub_handle_publish: machine('records?', 'now', 'topic', 'slot', 'code', 'text', 'text', 'flag', 'number'),
  hub_handle_handed: machine('other', 'now', 'topic', 'number', 'slot'),
  hub_handle_subscribe: machine('failure?', 'now', 'text', 'code'),
  hub_handle_unsubscribe: machine('records', 'code'),
  hub_handle_flow: machine('failure?', 'now', 'code'),
  hub_handle_tick: machine('records', 'now'),
  hub_wants_tick: machine('other'),
  hub_handle_timeout: machine('records', 'now'),
  hub_drain: machine('records'),
  hub_poll_timeout: machine('other'),
  hub_is_holding: machine('other'),

  gates_new: ['gates'],
  gates_throttle: machine('gate', 'number', 'flag', 'flag'),
  gates_debounce: machine('gate', 'number', 'number', 'flag', 'flag'),
  gates_handle_call: machine('records', 'now', 'gate', 'slot'),
  gates_handle_flush: machine('records', 'now', 'gate'),
  gates_handle_cancel: machine('records', 'now', 'gate'),
  gates_handle_timeout: machine('records', 'now'),
  gates_is_pending: machine('other', 'gate'),
  gates_poll_timeout: machine('other'),
};

/** What is no call of this kind: what texts and records are read and written by, and the panic that a test asks for. */
export const OTHERS: ReadonlySet<string> = new Set([
  'panic_on_purpose',
  'records_at',
  'stage_text',
  'text_at',
  'told_at',
  'told_length',
]);

const CAN_FAIL: ReadonlySet<Returned> = new Set(['records?', 'failure?', 'topic'] as const);

/** What a publish within the page returns that left no records. */
const NOTHING_TO_READ = -2;

type Call = (...passed: unknown[]) => number;

/** What the reader of records has to know of them. */
const STRIDE = 7;
const SLOT_FREED = 9;
const TOPIC_FORGOTTEN = 10;
const NOTE = 11;
const GATE_IDLE = 12;
const SEND = 13;
const POST = 21;
const KIND_MAX = POST;

/** The most machines of a kind, gates and topics that there are at a time. */
const LIVE_MAX = 4;
const TOPICS_MAX = 12;

/** Texts that mean something somewhere. */
const TEXTS = [
  '',
  'job:1',
  'job:2',
  'job:*',
  'job:**',
  '**',
  'a::b',
  'unauthorized',
  'token_expired',
  'complete',
  'ada',
  'é "\\\u0000\u2028',
  'x'.repeat(300),
];

const NUMBERS = [
  Number.NaN,
  -1,
  -0.5,
  0.5,
  2 ** 53,
  2 ** 53 - 1,
  2 ** 32,
  1e300,
  -1e300,
  Infinity,
  -Infinity,
];
const CODES = [2 ** 32 - 1, 2 ** 31, 2 ** 16, 255];

/** A new instance of a module, and somebody who calls it without knowing what for. */
export class Caller {
  /** The last calls, in words. */
  readonly said: string[] = [];
  readonly #random: () => number;
  readonly #exports: Record<string, Call>;
  readonly #memory: WebAssembly.Memory;
  readonly #names: string[];
  readonly #live: Record<'client' | 'hub' | 'gates', number[]> = { client: [], hub: [], gates: [] };
  /** Which gates there are, by the number of what has them. */
  readonly #gates = new Map<number, Set<number>>();
  readonly #topics = new Set<number>();
  /** The slots that the module holds. */
  readonly #slots = new Set<number>();
  #nextSlot = 0;
  #nowMs = 1_000;

  constructor(module: WebAssembly.Module, random: () => number) {
    this.#random = random;
    const made = () => this.#slot();
    const slots = { merge_slots: made, sum_slots: made, patch_slots: made };
    const { exports } = new WebAssembly.Instance(module, { slots });
    this.#exports = exports as Record<string, Call>;
    this.#memory = exports['memory'] as WebAssembly.Memory;
    this.#names = Object.keys(exports).filter((name) => name in CALLS);
  }

  /** Calls something. */
  step(): void {
    this.call(this.#one(this.#names)!);
  }

  /** Calls this, where there is what it needs. */
  call(name: string): void {
    const [returned, ...kinds] = CALLS[name]!;
    const about = kinds[0] === 'machine' ? this.#pick(name.split('_')[0] as 'client' | 'hub' | 'gates') : -1;
    if (about === undefined || this.#isCrowded(returned) || (returned === 'freed' && this.#random() < 0.9)) {
      return;
    }
    const passed: unknown[] = [];
    for (const kind of kinds) {
      const argument = kind === 'machine' ? about : this.#argument(kind, about);
      if (argument === undefined) {
        return;
      }
      passed.push(argument);
    }
    this.said.push(`${name}(${passed.join(', ')})`);
    this.said.splice(0, this.said.length - 40);
    this.#take(name, returned, about, this.#exports[name]!(...passed));
  }

  /** Everything that the module was given, it gives back. */
  end(): void {
    for (const [about, gates] of this.#gates) {
      for (const gate of gates) {
        this.#take('', 'records', about, this.#exports['gates_handle_cancel']!(about, this.#nowMs, gate));
      }
    }
    for (const kind of ['client', 'hub'] as const) {
      for (const about of this.#live[kind].splice(0)) {
        this.#exports[`${kind}_free`]!(about);
      }
    }
    this.#take('', 'records', -1, this.#exports['sweep_topics']!());
    assert.deepEqual([...this.#slots], [], 'slots that are still held');
    assert.deepEqual([...this.#topics], [], 'topics that are still held');
  }

  #isCrowded(returned: Returned): boolean {
    switch (returned) {
      case 'client':
      case 'hub':
      case 'gates':
        return this.#live[returned].length >= LIVE_MAX;
      case 'topic':
        return this.#topics.size >= TOPICS_MAX;
      default:
        return false;
    }
  }

  #argument(kind: Argument, about: number): unknown {
    switch (kind) {
      case 'gate':
        return this.#one([...(this.#gates.get(about) ?? [])]);
      case 'topic':
        return this.#one([...this.#topics]);
      case 'slot':
        return this.#slot();
      case 'text':
        return this.#text();
      case 'now':
        return this.#now();
      case 'flag':
        return this.#random() < 0.5;
      case 'code':
        return this.#random() < 0.1 ? this.#one(CODES) : Math.floor(this.#random() * 13);
      case 'election':
        // Where there are subscribers, none of them is given a worker's hub.
        return Math.floor(this.#random() * ('client_handle_subscribe' in this.#exports ? 3 : 6));
      case 'number':
        return this.#random() < 0.3 ? this.#one(NUMBERS) : Math.floor(this.#random() * 40);
      case 'machine':
        return about;
    }
  }

  /** Time goes on, mostly; what a clock should never show is shown now and then. */
  #now(): number {
    this.#nowMs += this.#random() ** 8 * 100_000;
    const isOdd = this.#random() < 0.002;
    return isOdd ? this.#one(NUMBERS)! : this.#nowMs;
  }

  #slot(): number {
    this.#slots.add(this.#nextSlot);
    return this.#nextSlot++;
  }

  #text(): number {
    if (this.#random() < 0.1) {
      return -1;
    }
    const letters = () => String.fromCharCode(...Array.from({ length: 5 }, () => 1 + this.#random() * 500));
    const bytes = new TextEncoder().encode(this.#random() < 0.1 ? letters() : this.#one(TEXTS));
    const number = this.#exports['stage_text']!(bytes.length);
    new Uint8Array(this.#memory.buffer, this.#exports['text_at']!(number), bytes.length).set(bytes);
    return number;
  }

  #pick(kind: 'client' | 'hub' | 'gates'): number | undefined {
    return this.#one(this.#live[kind]);
  }

  #one<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random() * from.length)];
  }

  #take(name: string, returned: Returned, about: number, result: number): void {
    if (result === -1 && CAN_FAIL.has(returned)) {
      this.#checkFailure();
      return;
    }
    switch (returned) {
      case 'records':
      case 'records?':
        if (result !== NOTHING_TO_READ) {
          this.#read(result, about);
        }
        break;
      case 'topic':
        this.#topics.add(result);
        break;
      case 'client':
      case 'hub':
      case 'gates':
        this.#live[returned].push(result);
        break;
      case 'gate':
        this.#gates.set(about, (this.#gates.get(about) ?? new Set()).add(result));
        break;
      case 'freed': {
        const live = this.#live[name.split('_')[0] as 'client' | 'hub'];
        live.splice(live.indexOf(about), 1);
      }
    }
  }

  /** What was refused is told in words. */
  #checkFailure(): void {
    const { code, message } = JSON.parse(this.#told()) as { code: unknown; message: unknown };
    assert.match(String(code), /^[a-z_]+$/);
    assert.ok(typeof message === 'string' && message.length > 0);
  }

  #read(count: number, about: number): void {
    const numbers = new Float64Array(this.#memory.buffer, this.#exports['records_at']!(), count * STRIDE);
    const text = this.#told();
    let at = 0;
    for (let row = 0; row < numbers.length; row += STRIDE) {
      const [kind = -1, subject = -1, topic = -1] = numbers.subarray(row, row + 3);
      assert.ok(kind >= 0 && kind <= KIND_MAX, `a record of kind ${kind}`);
      if (kind === NOTE) {
        JSON.parse(text.slice(at, at + subject));
      }
      if (kind === NOTE || kind === SEND || kind === POST) {
        at += subject;
      } else if (kind === SLOT_FREED) {
        assert.ok(this.#slots.delete(numbers[row + 6]!), 'a slot is freed that is not held');
      } else if (kind === TOPIC_FORGOTTEN) {
        assert.ok(this.#topics.delete(topic), 'a topic is forgotten that is not known');
      } else if (kind === GATE_IDLE) {
        assert.ok(this.#gates.get(about)?.delete(subject), 'a gate is gone that is not known');
      }
    }
    assert.equal(at, text.length, 'a part of the text belongs to no record');
  }

  #told(): string {
    const { told_at: at, told_length: length } = this.#exports;
    return new TextDecoder().decode(new Uint8Array(this.#memory.buffer, at!(), length!()));
  }
}
