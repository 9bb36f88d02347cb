/** A WASM module of the package: how it is loaded, how it is called, and what happens when it breaks. */

import { applyPatch, mergePatch, sumFields } from './combine.js';
import { report, TidegateError, typed, typedError } from './errors.js';
import type { Encoded } from './frames.js';
import type { Exports, Machine } from './machines.js';
import { RecordReader, type Row } from './records.js';
import { Slots } from './slots.js';
import { Topics } from './topics.js';

/** `WebAssembly.Module`, if the program's types declare it: Node's alone do not. */
type CompiledModule = typeof globalThis extends {
  WebAssembly: { Module: new (bytes: never) => infer Module };
}
  ? Module
  : never;

/** Where the core may be loaded from, if not from the package's folder. */
export type WasmSource = URL | string | Request | Response | ArrayBuffer | ArrayBufferView | CompiledModule;

/** What a call into the core returns instead of a number when it failed. */
const FAILED = -1;

/**
 * The resolution of a core's time, in milliseconds.
 *
 * @internal
 */
export const TICK_MS = 0.001;

/** Stands for an absent text. */
const NO_TEXT = -1;

if (globalThis.TextEncoder === undefined) {
  throw new TidegateError('load_failed', 'no TextEncoder: take it from `node:util`, in Jest in `setupFiles`');
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * One WASM module, with the payloads and topics that it knows by number. A page loads only the modules that it needs;
 * each serves all of the page's machines of its kind.
 *
 * @internal
 */
export class Core {
  /** The payloads that it holds. */
  readonly slots = new Slots();
  /** How often the core was restarted. Machines of an earlier era are invalid. */
  era = 0;
  readonly #address: (() => URL) | undefined;
  readonly #topics = new Topics(this);
  readonly #records = new RecordReader(this);
  readonly #restartListeners = new Set<() => void>();
  #loading: Promise<void> | undefined;
  #module: WebAssembly.Module | undefined;
  #exports: Exports | undefined;
  readonly #imports = {
    // Called from inside the core, so they may only touch slots. If one throws, the core is left half-way through its
    // work.
    slots: {
      merge_slots: (older: number, newer: number) => this.#combine(mergePatch, older, newer),
      sum_slots: (older: number, newer: number) => this.#combine(sumFields, older, newer),
      patch_slots: (base: number, patch: number) =>
        this.slots.put(applyPatch(this.slots.value(base), this.slots.value(patch))),
      slot_bytes: (slot: number) => (this.slots.value(slot) as Encoded).bytes,
    },
  };

  /** @param address where the module's file is; without it, `load` needs a source. */
  constructor(address?: () => URL) {
    this.#address = address;
  }

  /**
   * Loads the module, once.
   *
   * @throws {@link TidegateError} with code `load_failed`; another call tries again.
   */
  load(source?: WasmSource): Promise<void> {
    if (this.#exports !== undefined) {
      return Promise.resolve();
    }
    this.#loading ??= this.#load(source).catch((cause: unknown) => {
      this.#loading = undefined;
      throw loadFailed(cause);
    });
    return this.#loading;
  }

  async #load(source: WasmSource | undefined): Promise<void> {
    if (source !== undefined || !this.loadNow()) {
      const module = await compile(source ?? this.#address!());
      this.#start(module, await WebAssembly.instantiate(module, this.#imports));
    }
  }

  #start(module: WebAssembly.Module, instance: WebAssembly.Instance): void {
    this.#module = module;
    this.#exports = instance.exports as unknown as Exports;
  }

  /** Loads the module synchronously where there is a file system. Returns whether it is loaded now. */
  loadNow(): boolean {
    const url = this.#exports === undefined ? this.#address?.() : undefined;
    const fs = (globalThis as Runtime).process?.getBuiltinModule?.('node:fs') as FileSystem | undefined;
    if (url?.protocol === 'file:' && fs !== undefined) {
      try {
        const module = new WebAssembly.Module(fs.readFileSync(url));
        this.#start(module, new WebAssembly.Instance(module, this.#imports));
      } catch (cause) {
        throw loadFailed(cause);
      }
    }
    return this.#exports !== undefined;
  }

  /** Whether the module exports `call`, which makes a machine. */
  makes(call: string): boolean {
    return this.#exports !== undefined && call in this.#exports;
  }

  /** The module's exports. Call them through {@link Core.enter}. */
  get calls(): Exports {
    if (this.#exports === undefined) {
      throw new TidegateError('not_ready', 'the WASM core is not loaded yet: await ready() first');
    }
    return this.#exports;
  }

  /**
   * Combines two payloads into one. A payload may have getters: if one throws, that is reported and the newer payload
   * replaces both; if one calls into the core, which is in the middle of a call, the core breaks.
   */
  #combine(combine: (older: unknown, newer: unknown) => unknown, older: number, newer: number): number {
    const { slots, era } = this;
    let value = slots.value(newer);
    try {
      value = combine(slots.value(older), value);
    } catch (error) {
      if (this.era === era) {
        queueMicrotask(() => report(error));
      }
    }
    if (this.era !== era) {
      throw new TidegateError('internal', 'the core broke, as a payload called it while it was read');
    }
    return slots.put(value);
  }

  /** The machine with this number, of the kind whose exports begin with `prefix`. */
  machine<M extends Machine>(prefix: string, number: number): M {
    const machine: Record<string, unknown> = { core: this };
    for (const [name, call] of Object.entries(this.calls)) {
      if (name.startsWith(prefix)) {
        machine[name.slice(prefix.length)] = (call as (...args: unknown[]) => unknown).bind(null, number);
      }
    }
    return machine as unknown as M;
  }

  /** Copies a text into the core, and returns its number for the next call; an absent text has a number, too. */
  text(text: string | undefined): number {
    if (text === undefined) {
      return NO_TEXT;
    }
    const { memory, stage_text, text_at } = this.calls;
    const bytes = encoder.encode(text);
    const number = stage_text(bytes.length);
    new Uint8Array(memory.buffer, text_at(number), bytes.length).set(bytes);
    return number;
  }

  /** The text that the last call left beside its records. */
  told(): string {
    const { memory, told_at, told_length } = this.calls;
    return decoder.decode(new Uint8Array(memory.buffer, told_at(), told_length()));
  }

  /** Reads a list of `count` records: see {@link RecordReader.forEach}. */
  forEachRecord(count: number, take: (row: Row) => void): void {
    this.#records.forEach(count, take);
  }

  /** The number of a topic: see {@link Topics.number}. */
  topicNumber(topic: string): number {
    return this.#topics.number(topic);
  }

  /** The topic with a number that the core named. */
  topicName(number: number): string {
    return this.#topics.name(number);
  }

  /** Calls into the core; errors become typed. */
  enter<R>(call: () => R): R {
    try {
      return call();
    } catch (error) {
      throw this.recover(error);
    }
  }

  /** Calls into the core, for calls that return a number or {@link FAILED}; errors become typed. */
  attempt(call: () => number): number {
    const result = this.enter(call);
    if (result === FAILED) {
      throw typedError(JSON.parse(this.told()));
    }
    return result;
  }

  /**
   * Turns what a call into the core threw into a typed error. If it means that the core broke, the core is restarted.
   */
  recover(thrown: unknown): TidegateError {
    if (!isBreak(thrown)) {
      return typed(thrown, 'internal', 'the core could not be called');
    }
    this.#start(this.#module!, new WebAssembly.Instance(this.#module!, this.#imports));
    this.slots.clear();
    this.era += 1;
    queueMicrotask(() => {
      for (const listener of [...this.#restartListeners]) {
        listener();
      }
    });
    return typed(thrown, 'internal', 'the core crashed and was restarted');
  }

  /** Calls `listener` after each restart of the core, until the returned function is called. */
  onRestart(listener: () => void): () => void {
    this.#restartListeners.add(listener);
    return () => this.#restartListeners.delete(listener);
  }
}

/**
 * Whether an error may have left the core half-way through its work: a trap, or a stack overflow, which may have
 * happened inside of it. Firefox throws an error of its own for the latter.
 */
function isBreak(thrown: unknown): boolean {
  return (
    thrown instanceof WebAssembly.RuntimeError ||
    thrown instanceof RangeError ||
    (thrown as Error | undefined)?.name === 'InternalError'
  );
}

interface FileSystem {
  readFileSync(path: URL): Uint8Array<ArrayBuffer>;
}

interface Runtime {
  process?: { getBuiltinModule?(name: string): unknown };
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) {
    return source;
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return WebAssembly.compile(source as BufferSource);
  }
  const response = source instanceof Response ? source : await fetch(source as URL | string | Request);
  if (!response.ok) {
    throw new Error(`${response.url} answers ${response.status}`);
  }
  const isServedAsModule = response.headers.get('content-type')?.startsWith('application/wasm');
  return isServedAsModule
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

function loadFailed(cause: unknown): TidegateError {
  return typed(cause, 'load_failed', 'the WASM core could not be loaded');
}
