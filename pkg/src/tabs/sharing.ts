/** A connection's part in a group of tabs: how it joins one, and what it exchanges with the others. */

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
 * What sharing needs of the connection.
 *
 * @internal
 */
export interface SharingEvents {
  /** Tells the core of an event. */
  tell(call: (hub: TabHub, nowMs: number) => number): void;
  /** Messages of other tabs. */
  heard(messages: readonly TabMessage[]): void;
  /**
   * The holder of the connection reports that its socket was lost, with a reason if it was open; or that the server
   * refused the connection, and why.
   */
  lost(reason: string | undefined, isRefused: boolean): void;
  /** Getting a token failed, or sharing did. */
  failed(error: TidegateError): void;
  /** No core could be loaded, neither for sharing nor for being alone. */
  over(error: TidegateError): void;
  /** The way of sharing has changed, and needs a new hub of this core. */
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
  /** Whether sharing is wanted, but the user could not be found out yet. */
  #isUserUnknown = false;
  #isClosed = false;
  #group: Group | undefined;
  #stopTime: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #tab = 0;
  #outgoing: string[] = [];
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
   * The core to begin with, once it is known with whom to share. Returned without a promise if that needs no waiting.
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

  /** Finds out with whom to share, if sharing is possible and the membership wasn't given. */
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
    this.#isUserUnknown = user === undefined;
    return user === undefined ? undefined : this.#membershipOf(mode, user);
  }

  #membershipOf(mode: TabsMode, user: string): Membership | undefined {
    const { WebSocket, host, client, wasm } = this.#options;
    const isOrdinary = WebSocket === undefined && host === undefined;
    const { fixed: token, isRenewable: asks } = this.#tokens;
    return findMembership(mode, { url: this.#url, token, asks, user, client, wasm, isOrdinary });
  }

  /** The name of the user, if it is found out within the time that the core allows for a token. */
  async #userInTime(mode: TabsMode): Promise<string | undefined> {
    const finding = this.#tokens.user();
    if (!this.#tokens.isRenewable) {
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

  /** Answers the core's request for a token, with that of the page's function. */
  async answer(request: number): Promise<void> {
    if (this.#isUserUnknown && (await this.#shareAfterAll())) {
      // The new, shared hub makes a request of its own.
      return;
    }
    // If the user is still unknown, the function was asked just now and gave no token: it isn't asked again.
    const token = this.#isUserUnknown ? undefined : await this.#tokens.next();
    this.#events.tell((hub, now) => hub.handle_token(now, request, hub.core.text(token)));
  }

  /** Joins the group. */
  join(): void {
    const { tell } = this.#events;
    // The page is listened to here first: a group lets go of the connection as it is left.
    this.#stopListening ??= whenReachable(
      () => tell((hub, now) => hub.handle_hurry(now)),
      () => tell((hub, now) => hub.handle_pause(now)),
    );
    const membership = this.#membership;
    if (membership === undefined) {
      return;
    }
    const events: GroupEvents = {
      said: (text) => this.#receive(parseSaid(text, this.#tab)),
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

  /**
   * Tries to join a group after all, if the user could not be found out at the beginning. Returns whether the request
   * for a token is obsolete.
   */
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

  /**
   * The chosen way of sharing is not available here. Switches from the worker to a leader in mode `auto`, and otherwise
   * to an unshared connection.
   */
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

  /**
   * The core for this membership. If it can't be loaded, such as after a deployment of another version, that is
   * reported.
   */
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

  /** Makes a hub: a shared one, if the connection has a membership. */
  makeHub(core: Core, random: () => number): TabHub {
    const { calls } = core;
    const { fixed, isRenewable } = this.#tokens;
    const client = core.text(this.#options.client ?? undefined);
    const config = [random(), core.text(fixed), isRenewable, client] as const;
    if (this.#membership === undefined) {
      return core.machine('client_', calls.client_new(...config));
    }
    const { election, generation, knownAs = randomName() } = this.#membership;
    this.#tab = Math.floor(random() * Number.MAX_SAFE_INTEGER);
    const group = core.text(knownAs);
    return core.machine('client_', calls.client_shared(...config, this.#tab, election, generation, group));
  }

  /** How the leader of the group is found; undefined if the connection isn't shared. */
  get election(): number | undefined {
    return this.#membership?.election;
  }

  /** Prepares for a new hub, and tells it the state of the page. */
  begin(tellPage: (page: number) => void): void {
    if (this.#group !== undefined) {
      this.#group.reset();
      tellPage(this.#group.page);
    }
  }

  /** Notes data of the core for its next message. */
  addData(slot: number): void {
    this.#dataSlots.push(slot);
  }

  /** Queues a message of the core, with the data that was noted before. */
  post(text: string, slots: Slots): void {
    this.#outgoing.push(fillHoles(text, slots, this.#dataSlots));
    this.#dataSlots = [];
  }

  #receive(messages: readonly TabMessage[]): void {
    const lost = messages.findLast(({ say }) => say === LOST);
    if (lost !== undefined) {
      this.#events.lost(lost.reason, lost.refused ?? false);
    }
    this.#events.heard(messages.filter(({ say }) => say !== LOST));
  }

  /**
   * Tells the group that this tab's, or this worker's, socket was lost, or that the server refused the connection, and
   * why.
   */
  sayLost(reason: string | undefined, refused: boolean): void {
    if (this.#group !== undefined) {
      const lost = { version: TABS_VERSION, from: this.#tab, say: LOST, reason, refused };
      this.#outgoing.push(JSON.stringify(lost));
    }
  }

  /** Sends what is queued. */
  flush(): void {
    const outgoing = this.#outgoing;
    if (outgoing.length > 0) {
      this.#outgoing = [];
      this.#group?.say(outgoing);
    }
  }

  /** Carries out a note. */
  take(note: TabsNote): void {
    this.#group?.take(note);
  }

  /** Leaves the group for good. */
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

/** The core for this part, or the error that loading it caused. */
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
 * The host of a connection. In a page that may share, its timers stay punctual while the page is hidden.
 *
 * @internal
 */
export function hostOf(options: ConnectOptions): Host {
  const isPage = typeof document !== 'undefined' && options.tabs !== 'off';
  return options.host ?? (isPage ? pageHost : systemHost);
}
