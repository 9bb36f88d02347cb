/** The presences of a connection: those that it tracks, and the topics whose presences it watches. */

import { dispose } from './dispose.js';
import { badOption, type PlainError, report, type TidegateError, typedError } from './errors.js';
import { type Encoded, encode } from './frames.js';
import type { ClientHub } from './machines.js';
import { Roster, type RosterChange } from './presence-roster.js';
import type { PresenceChange, PresenceOptions, TopicPresence, Tracking } from './presence-types.js';
import type { Listening } from './tide-types.js';

/**
 * The core's JSON notes about presences.
 *
 * @internal
 */
export type PresenceNote =
  /** Keys that have changed, each with the slots of all its metas. `state`: the server has sent a complete state. */
  | {
      readonly note: 'presence';
      readonly topic: string;
      readonly state?: true;
      readonly changes: readonly { readonly key: string; readonly metas: readonly number[] }[];
    }
  | { readonly note: 'untracked'; readonly number: number; readonly error: PlainError }
  | { readonly note: 'unwatched'; readonly topic: string; readonly error: PlainError };

/**
 * What presences need of the connection.
 *
 * @internal
 */
export interface PresenceLink {
  /** Whether there is a machine. Throws if the connection was closed. */
  isStarted(): boolean;
  /** Calls the machine, if there is one, and reads the resulting records. */
  call(act: (hub: ClientHub, nowMs: number) => number): void;
  /** The payload in a slot of the core. */
  slotValue(slot: number): unknown;
  /** Turns what was thrown into a typed error. */
  recover(thrown: unknown): TidegateError;
  /** Queues a task, in order with the deliveries to handlers. */
  queue(task: () => void): void;
}

/** The number of a track that the core doesn't know: not yet, or no longer. */
const DETACHED = -1;

interface Track {
  readonly topic: string;
  readonly key: string;
  readonly options: PresenceOptions;
  readonly abort: () => void;
  meta: Encoded;
  number: number;
}

/** @internal */
export class Presences {
  readonly #link: PresenceLink;
  readonly #tracks = new Set<Track>();
  readonly #rosters = new Map<string, Roster>();

  constructor(link: PresenceLink) {
    this.#link = link;
  }

  /** The presences of a topic. */
  of(topic: string): TopicPresence {
    return {
      topic,
      track: (key, meta, options) => this.#track(topic, key, meta, options),
      list: () => this.#rosters.get(topic)?.list() ?? NOBODY,
      onChange: (listener, options) => this.#listen(topic, listener, options),
    };
  }

  /** Registers everything with a new machine. */
  start(): void {
    for (const track of [...this.#tracks]) {
      track.number = DETACHED;
      this.#orFail(
        () => this.#attach(track),
        (error) => this.#refuse(track, error),
      );
    }
    for (const roster of [...this.#rosters.values()]) {
      roster.restart();
      this.#orFail(
        () => this.#watch(roster.topic),
        (error) => this.#unwatchable(roster, error),
      );
    }
  }

  /** Processes a note. Called while records are read: the slots must be read now, and the core must not be called. */
  take(note: PresenceNote): void {
    switch (note.note) {
      case 'presence': {
        const changes = note.changes.map(
          ({ key, metas }): RosterChange => ({ key, metas: metas.map((slot) => this.#link.slotValue(slot)) }),
        );
        const roster = this.#rosters.get(note.topic);
        this.#link.queue(() => roster?.apply(changes, note.state === true));
        break;
      }
      case 'untracked':
        for (const track of this.#tracks) {
          if (track.number === note.number) {
            this.#refuse(track, typedError(note.error));
          }
        }
        break;
      case 'unwatched': {
        const roster = this.#rosters.get(note.topic);
        if (roster !== undefined) {
          this.#unwatchable(roster, typedError(note.error));
        }
        break;
      }
    }
  }

  /** Ends all presences: with an error, or without notice. */
  end(error: TidegateError | undefined): void {
    for (const track of [...this.#tracks]) {
      if (error === undefined) {
        this.#forget(track);
      } else {
        this.#refuse(track, error);
      }
    }
    for (const roster of [...this.#rosters.values()]) {
      if (error === undefined) {
        this.#rosters.delete(roster.topic);
        roster.end();
      } else {
        this.#unwatchable(roster, error);
      }
    }
  }

  #track(topic: string, key: string, meta: unknown, options: PresenceOptions = {}): Tracking {
    const isStarted = this.#link.isStarted();
    if (typeof key !== 'string') {
      throw badOption('key', key, 'a text');
    }
    const untrack = (): void => this.#untrack(track);
    const track: Track = { topic, key, options, abort: untrack, meta: encode(meta), number: DETACHED };
    const { signal } = options;
    if (!signal?.aborted) {
      this.#tracks.add(track);
      signal?.addEventListener('abort', untrack, { once: true });
    }
    if (isStarted && this.#tracks.has(track)) {
      this.#orFail(
        () => this.#attach(track),
        (error) => {
          this.#forget(track);
          throw error;
        },
      );
    }
    const isActive = (): boolean => this.#tracks.has(track);
    return {
      key,
      get active() {
        return isActive();
      },
      update: (next) => this.#update(track, next),
      untrack,
      [dispose]: untrack,
    };
  }

  #attach(track: Track): void {
    this.#link.call((hub, now) => {
      const { core } = hub;
      track.number = core.attempt(() => {
        const topic = core.topicNumber(track.topic);
        return hub.handle_track(now, topic, core.text(track.key), core.slots.put(track.meta));
      });
      return hub.drain();
    });
  }

  #update(track: Track, meta: unknown): void {
    track.meta = encode(meta);
    if (track.number !== DETACHED) {
      this.#link.call((hub, now) => hub.handle_retrack(now, track.number, hub.core.slots.put(track.meta)));
    }
  }

  #untrack(track: Track): void {
    const number = track.number;
    this.#forget(track);
    if (number !== DETACHED) {
      this.#link.call((hub, now) => hub.handle_untrack(now, number));
    }
  }

  /** Forgets a track, which reports nothing from now on. */
  #forget(track: Track): void {
    this.#tracks.delete(track);
    track.number = DETACHED;
    track.options.signal?.removeEventListener('abort', track.abort);
  }

  #refuse(track: Track, error: TidegateError): void {
    this.#forget(track);
    this.#link.queue(() => fail(track.options, error));
  }

  #listen(
    topic: string,
    listener: (change: PresenceChange<never>) => void,
    options: PresenceOptions = {},
  ): Listening {
    if (typeof listener !== 'function') {
      throw badOption('the listener', listener, 'a function');
    }
    const isStarted = this.#link.isStarted();
    const { signal } = options;
    let roster = this.#rosters.get(topic);
    const isNew = roster === undefined;
    roster ??= new Roster(topic);
    const added = roster.add(listener as (change: PresenceChange) => void, options);
    const stop = (): void => {
      signal?.removeEventListener('abort', stop);
      this.#leave(roster, roster.remove(added));
    };
    if (signal?.aborted) {
      roster.remove(added);
    } else {
      signal?.addEventListener('abort', stop, { once: true });
      this.#rosters.set(topic, roster);
      if (isNew && isStarted) {
        this.#orFail(
          () => this.#watch(topic),
          (error) => {
            this.#rosters.delete(topic);
            throw error;
          },
        );
      }
      this.#link.queue(() => roster.greet(added));
    }
    return Object.assign(stop, { [dispose]: stop });
  }

  #watch(topic: string): void {
    this.#link.call((hub, now) => hub.handle_watch(now, hub.core.topicNumber(topic)));
  }

  /** A listener has left. With the last one, watching ends. */
  #leave(roster: Roster, isUnheard: boolean): void {
    const { topic } = roster;
    if (isUnheard && this.#rosters.get(topic) === roster) {
      this.#rosters.delete(topic);
      this.#link.call((hub, now) => hub.handle_unwatch(now, hub.core.topicNumber(topic)));
    }
  }

  #unwatchable(roster: Roster, error: TidegateError): void {
    this.#rosters.delete(roster.topic);
    for (const options of roster.end()) {
      this.#link.queue(() => fail(options, error));
    }
  }

  #orFail(act: () => void, failed: (error: TidegateError) => void): void {
    try {
      act();
    } catch (error) {
      failed(this.#link.recover(error));
    }
  }
}

const NOBODY: readonly never[] = [];

/** Reports the error that ended a presence or a listener. */
function fail(options: PresenceOptions, error: TidegateError): void {
  if (options.onError === undefined) {
    report(error);
  } else {
    options.onError(error);
  }
}
