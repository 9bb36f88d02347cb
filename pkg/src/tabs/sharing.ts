/** A connection's part in sharing with the browser's other tabs: what its core says to them, and what it hears. */

import { Core } from '../core.js';
import { canShare, connectionCore, loadGiven } from '../engine.js';
import { badOption, type TidegateError, typed } from '../errors.js';
import { type Host, systemHost } from '../host.js';
import type { TabHub } from '../machines.js';
import { optionalText } from '../options.js';
import type { Slots } from '../slots.js';
import type { ConnectOptions } from '../tide-types.js';
import { Tokens } from '../tokens.js';
import { keepTime, pageHost } from './clock.js';
import { Election } from './election.js';
import { Group, type GroupEvents, type TabsNote } from './group.js';
import { findMembership, hasTabs, type Membership, type TabsMode, type TabsPart } from './membership.js';
import { fillHoles, LOST, parseSaid, TABS_VERSION, type TabMessage } from './message.js';
import { randomName } from './names.js';
import { whenReachable } from './reachable.js';
import type { SpawnWorker } from './spawn.js';

/**
 * The connection, as its part in a group needs it.
 *
 * @internal
 */
export interface SharingEvents {
  /** Something has happened that the core is to know. */
  tell(call: (hub: TabHub, nowMs: number) => number): void;
  /** Other tabs have said something. */
  heard(messages: readonly TabMessage[]): void;
  /**
   * Whoever has the connection says that its socket is lost, and what that has said, if it was open; or that the server refuses
   * the connection, and why.
   */
  lost(reason: string | undefined, isRefused: boolean): void;
  /** No token could be had, or it can't be shared. */
  failed(error: TidegateError): void;
  /** There is no core to go on with, shared or alone. */
  over(error: TidegateError): void;
  /** It is shared in another way from now on, or not at all: another hub is needed, of this core. */
  changed(core: Core): void;
}

/** @internal */
export class Sharing {
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #events: SharingEvents;
  readonly #tokens: Tokens;
  readonly #spawn: SpawnWorker | undefined;
  #membership: Membership | undefined;
  /** Whether it is not known, though wanted, with whom to share. */
  #isUnknown = false;
  #isClosed = false;
  #group: Group | undefined;
  #stopTime: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #tab = 0;
  #said: string[] = [];
  #dataSlots: number[] = [];

  constructor(url: string, options: ConnectOptions, events: SharingEvents, part: TabsPart) {
    checkOptions(options);
    this.#url = url;
    this.#options = options;
    this.#events = events;
    this.#tokens = new Tokens(options.token, events.failed);
    this.#spawn = part.spawn;
    this.#membership = part.membership;
  }

  /**
   * The core to begin with, once it is known who there is to share with: at once, where that need not be found out and it is there.
   *
   * @throws {@link TidegateError} with code `load_failed`; another call tries again.
   */
  findCore(): Core | Promise<Core> {
    const { wasm } = this.#options;
    return wasm === undefined ? this.#findOwnCore() : loadGiven(wasm).then(() => this.#findOwnCore());
  }

  #findOwnCore(): Core | Promise<Core> {
    const finding = this.#find();
    const find = (): Core | Promise<Core> => connectionCore(this.election);
    return finding === undefined ? find() : finding.then(find);
  }

  /** Finds out who there is to share with, where there may be somebody and nobody has told. */
  #find(): Promise<void> | undefined {
    const tabs = this.#options.tabs ?? 'auto';
    if (this.#membership !== undefined || tabs === 'off' || !hasTabs() || !canShare()) {
      return undefined;
    }
    return this.#findAs(tabs, () => this.#userInTime(tabs)).then((membership) => {
      this.#membership = membership;
    });
  }

  async #findAs(
    mode: TabsMode,
    findUser: () => Promise<string | undefined> = () => this.#tokens.user(),
  ): Promise<Membership | undefined> {
    const user = await findUser();
    this.#isUnknown = user === undefined;
    return user === undefined ? undefined : this.#membershipOf(mode, user);
  }

  #membershipOf(mode: TabsMode, user: string): Membership | undefined {
    const { WebSocket, host, client, wasm } = this.#options;
    const isOrdinary = WebSocket === undefined && host === undefined;
    const { fixed: token, asks } = this.#tokens;
    return findMembership(mode, { url: this.#url, token, asks, user, client, wasm, isOrdinary });
  }

  /** Whose the connection is, if that is found out within the time that the core has for a token. */
  async #userInTime(mode: TabsMode): Promise<string | undefined> {
    const finding = this.#tokens.user();
    if (!this.#tokens.asks) {
      return finding;
    }
    const { calls } = await connectionCore(this.#membershipOf(mode, '')?.election);
    const host = hostOf(this.#options);
    let timer: unknown;
    const late = new Promise<undefined>((resolve) => {
      timer = host.setTimer(() => resolve(undefined), calls.token_timeout_ms());
    });
    const user = await Promise.race([finding, late]);
    host.clearTimer(timer);
    return user;
  }

  /** The core asks for a token: the page's function gives it. */
  async answer(request: number): Promise<void> {
    if (this.#isUnknown && (await this.#shareAfterAll())) {
      // The hub that shares asks for itself.
      return;
    }
    // Whoever was asked for the user's sake just now, and had no token, has none for this either.
    const token = this.#isUnknown ? undefined : await this.#tokens.next();
    this.#events.tell((hub, now) => hub.handle_token(now, request, hub.core.text(token)));
  }

  /** Takes part, from now on. */
  join(): void {
    this.#stopListening ??= whenReachable(() => this.#events.tell((hub, now) => hub.handle_hurry(now)));
    const membership = this.#membership;
    if (membership === undefined) {
      return;
    }
    const { tell } = this.#events;
    const events: GroupEvents = {
      said: (text) => this.#hear(parseSaid(text, this.#tab)),
      granted: (request) => tell((hub, now) => hub.handle_granted(now, request)),
      lost: (request) => tell((hub, now) => hub.handle_lost(now, request)),
      page: (event) => tell((hub, now) => hub.handle_page(now, event)),
      unavailable: () => this.#shareOtherwise(membership),
    };
    this.#group = new Group(membership, events, this.#spawn);
    if (membership.election !== Election.Host) {
      this.#stopTime = keepTime();
    }
  }

  /** Whose the connection is could not be found out as it began: it is alone, unless that is known now. */
  async #shareAfterAll(): Promise<boolean> {
    const membership = await this.#findAs(this.#options.tabs ?? 'auto');
    const core = membership && (await this.#coreFor(membership));
    const isOver = this.#isClosed || this.#membership !== undefined;
    if (core === undefined || isOver) {
      return isOver;
    }
    this.#membership = membership;
    this.join();
    this.#events.changed(core);
    return true;
  }

  /** The way that was chosen does not work here: where it was not asked for, another one is taken. */
  async #shareOtherwise(failed: Membership): Promise<void> {
    const tabs = this.#options.tabs ?? 'auto';
    const next = tabs === 'auto' && failed.election === Election.Worker ? 'leader' : 'off';
    const membership = await this.#findAs(next);
    const shared = membership && (await this.#coreFor(membership));
    const core = shared ?? (await loaded(undefined));
    if (this.#group === undefined || this.#membership !== failed) {
      return;
    }
    if (core instanceof Core) {
      this.#leave();
      this.#membership = shared && membership;
      this.join();
      this.#events.changed(core);
    } else {
      this.#events.over(core);
    }
  }

  /** The core to take part with. Where it can't be loaded, as when another version was deployed since, that is told. */
  async #coreFor({ election }: Membership): Promise<Core | undefined> {
    const core = await loaded(election);
    if (core instanceof Core) {
      return core;
    }
    if (!this.#isClosed) {
      this.#events.failed(core);
    }
    return undefined;
  }

  /** A hub of the core that takes part, or is alone. */
  makeHub(core: Core, random: () => number): TabHub {
    const { calls } = core;
    const { fixed, asks } = this.#tokens;
    const client = core.text(this.#options.client ?? undefined);
    const config = [random(), core.text(fixed), asks, client] as const;
    if (this.#membership === undefined) {
      return core.machine('client_', calls.client_new(...config));
    }
    const { election, generation, knownAs = randomName() } = this.#membership;
    this.#tab = Math.floor(random() * Number.MAX_SAFE_INTEGER);
    const group = core.text(knownAs);
    return core.machine('client_', calls.client_shared(...config, this.#tab, election, generation, group));
  }

  /** How it is shared, where there is anybody to share with. */
  get election(): number | undefined {
    return this.#membership?.election;
  }

  /** The hub is a new one: tells how the page is, for it to begin with. */
  begin(tellPage: (page: number) => void): void {
    if (this.#group !== undefined) {
      this.#group.reset();
      tellPage(this.#group.page);
    }
  }

  /** The core has data for the message that follows. */
  addData(slot: number): void {
    this.#dataSlots.push(slot);
  }

  /** The core has this to say, with the data that came before in its holes. */
  post(text: string, slots: Slots): void {
    this.#said.push(fillHoles(text, slots, this.#dataSlots));
    this.#dataSlots = [];
  }

  #hear(messages: readonly TabMessage[]): void {
    const lost = messages.findLast(({ say }) => say === LOST);
    if (lost !== undefined) {
      this.#events.lost(lost.reason, lost.refused ?? false);
    }
    this.#events.heard(messages.filter(({ say }) => say !== LOST));
  }

  /** The socket of this tab, or of this worker, is lost, and has said this of it; or the server, as it refuses the connection. */
  sayLost(reason: string | undefined, refused: boolean): void {
    if (this.#group !== undefined) {
      const lost = { version: TABS_VERSION, from: this.#tab, say: LOST, reason, refused };
      this.#said.push(JSON.stringify(lost));
    }
  }

  /** Says what there is to say. */
  flush(): void {
    const said = this.#said;
    if (said.length > 0) {
      this.#said = [];
      this.#group?.say(said);
    }
  }

  /** Does what a note says. */
  take(note: TabsNote): void {
    this.#group?.take(note);
  }

  /** Takes no part any more. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening?.();
    this.#leave();
  }

  #leave(): void {
    this.#stopTime?.();
    this.#stopTime = undefined;
    this.#group?.close();
    this.#group = undefined;
  }
}

/** The core for this part, or why it could not be loaded. */
async function loaded(election: number | undefined): Promise<Core | TidegateError> {
  try {
    return await connectionCore(election);
  } catch (error) {
    return typed(error, 'load_failed', 'the WASM core could not be loaded');
  }
}

const MODES: readonly unknown[] = ['auto', 'worker', 'leader', 'off'];

function checkOptions({ tabs, client }: ConnectOptions): void {
  if (!MODES.includes(tabs ?? 'auto')) {
    throw badOption('tabs', tabs, `one of ${MODES.join()}`);
  }
  optionalText(client, 'client');
}

/**
 * Where a connection takes time from: a page's is kept while it is hidden, if it may share.
 *
 * @internal
 */
export function hostOf(options: ConnectOptions): Host {
  const isPage = typeof document !== 'undefined' && options.tabs !== 'off';
  return options.host ?? (isPage ? pageHost : systemHost);
}
