/** Calls the exports of a module with anything that JavaScript can pass, and keeps track of what the module holds. */

import assert from 'node:assert/strict';

import { type Argument, CALLS, type Returned } from './boundary-calls.js';

const CAN_FAIL: ReadonlySet<Returned> = new Set(['records?', 'failure?', 'topic'] as const);

/** The result of a publish within the page that left no records. */
const NOTHING_TO_READ = -2;

type Call = (...passed: unknown[]) => number;

/** The layout of records. */
const STRIDE = 7;
const SLOT_FREED = 9;
const TOPIC_FORGOTTEN = 10;
const NOTE = 11;
const GATE_IDLE = 12;
const SEND = 13;
const POST = 21;
const KIND_MAX = POST;

/** The most simultaneous machines of a kind, gates and topics. */
const LIVE_MAX = 4;
const TOPICS_MAX = 12;

/** Texts with a special meaning somewhere. */
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

/** A new instance of a module, and a caller that calls it at random. */
export class Caller {
  /** The last calls, in words. */
  readonly said: string[] = [];
  readonly #random: () => number;
  readonly #exports: Record<string, Call>;
  readonly #memory: WebAssembly.Memory;
  readonly #names: string[];
  readonly #live: Record<'client' | 'hub' | 'gates', number[]> = { client: [], hub: [], gates: [] };
  /** The open gates, by the number of their machine. */
  readonly #gates = new Map<number, Set<number>>();
  readonly #topics = new Set<number>();
  /** The slots that the module holds. */
  readonly #slots = new Set<number>();
  #nextSlot = 0;
  #nowMs = 1_000;

  constructor(module: WebAssembly.Module, random: () => number) {
    this.#random = random;
    const made = () => this.#slot();
    const slots = { merge_slots: made, sum_slots: made, patch_slots: made, slot_bytes: made };
    const { exports } = new WebAssembly.Instance(module, { slots });
    this.#exports = exports as Record<string, Call>;
    this.#memory = exports['memory'] as WebAssembly.Memory;
    this.#names = Object.keys(exports).filter((name) => name in CALLS);
  }

  /** Makes a random call. */
  step(): void {
    this.call(this.#one(this.#names)!);
  }

  /** Makes this call, if there is what its arguments need. */
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

  /** Frees everything, and checks that the module gives back everything that it was given. */
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
        // In modules with subscribers, they never get a worker's hub.
        return Math.floor(this.#random() * ('client_handle_subscribe' in this.#exports ? 3 : 6));
      case 'number':
        return this.#random() < 0.3 ? this.#one(NUMBERS) : Math.floor(this.#random() * 40);
      case 'machine':
        return about;
    }
  }

  /** The time usually advances; now and then, it is one that a clock should never show. */
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

  /** Checks that a refusal has a code and a message. */
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
