import { TidegateError } from '../errors.js';
import { type Formats, formats } from '../progress/format.js';
import { type Job, readJob, type Status } from '../progress/job.js';
import type { WorkNouns } from '../progress/work-text.js';
import { languageOf } from '../shadow.js';
import type { Tide } from '../tide-types.js';
import type { Duration, Subscription, Update } from '../types.js';
import { type Share, share } from './connections.js';
import type { Shown } from './texts.js';
import { View } from './view.js';
import { ENGLISH, isOver, type ProgressState, type ProgressWords } from './words.js';

/** More often than a few times a second, nobody would see it. */
const THROTTLE_DEFAULT = '200ms';

/** The attributes with the words for work. */
const NOUNS = ['unit', 'verb', 'worker'] as const;

/** The attributes that only change what is shown, not the subscription. */
const SHOWN_ONLY: readonly string[] = ['label', 'lang', ...NOUNS];

/** After how many failed attempts to connect the bar says so. */
const FAILED_ATTEMPTS_MAX = 2;

/** How often the time of a running job is updated. */
const TICK_MS = 1_000;

const STATE_OF_STATUS: Readonly<Record<Status, ProgressState>> = {
  RUNNING: 'running',
  COMPLETE: 'complete',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
};

/** The subscription or the connection that an element follows. */
interface Watched {
  /** The topic and the server, as one text. */
  readonly job: string;
  readonly tide: Tide | undefined;
  readonly throttle: Duration;
}

function isEqual(one: Watched | undefined, other: Watched | undefined): boolean {
  return one?.job === other?.job && one?.tide === other?.tide && one?.throttle === other?.throttle;
}

/** On a server there are no elements, but the class may be imported all the same. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * `<tide-progress topic="job:42">` shows the live progress of one job, or of a piece of work that many do together.
 *
 * - `topic`: the topic to show. Without it, the element waits.
 * - `src`: the server's address. Default: the page's own server. Elements with the same server share a connection.
 * - `label`: the text to show instead of the job's own name.
 * - `throttle`: the shortest time between two updates, such as `200ms` (the default).
 * - `unit`, `verb`, `worker`: the words for work, as `label|labels`, `labeled` and `labeler|labelers`; see `WorkNouns`.
 *
 * Numbers, plurals and times are those of the nearest `lang`, which may be the element's own. Later changes are noticed
 * on the element itself and on the page.
 *
 * The attribute `state` reflects its state, and `statechange` is fired when that changes.
 */
export class TideProgressElement extends Base {
  static readonly observedAttributes = ['topic', 'src', 'label', 'throttle', 'lang', ...NOUNS];
  /** The words of all elements. Replace them for another language. */
  static words: ProgressWords = ENGLISH;

  #view: View | undefined;
  #tide: Tide | undefined;
  #share: Share | undefined;
  #subscription: Subscription | undefined;
  #stopFollowing: (() => void) | undefined;
  #isRestartDue = false;
  #watched: Watched | undefined;
  /** Where the job that is shown comes from. Kept while nothing is watched. */
  #lastJob: string | undefined;
  #lastTide: Tide | undefined;
  #job: Job | undefined;
  /** The update that was last given to `update`. */
  #update: Update | undefined;
  #error: TidegateError | undefined;
  #isStale = false;
  #isUnreachable = false;
  /** Why there is no connection, if known. */
  #reason: string | undefined;
  #shownState: ProgressState | undefined;
  #formats: Formats | undefined;
  #language = '';
  #pageLanguage: MutationObserver | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;

  /** The topic to show. */
  get topic(): string {
    return this.getAttribute('topic') ?? '';
  }

  set topic(topic: string | null | undefined) {
    this.#reflect('topic', topic);
  }

  /** The server's address. */
  get src(): string {
    return this.getAttribute('src') ?? '/';
  }

  set src(src: string | null | undefined) {
    this.#reflect('src', src);
  }

  /** The text to show instead of the job's own name. */
  get label(): string {
    return this.getAttribute('label') ?? '';
  }

  set label(label: string | null | undefined) {
    this.#reflect('label', label);
  }

  /**
   * A connection of your own, instead of `src`: with a token, for example. Closing it remains up to you. Without a
   * `topic`, set it to the connection that the updates come from, and the bar shows when it is lost.
   */
  get tide(): Tide | undefined {
    return this.#tide;
  }

  set tide(tide: Tide | null | undefined) {
    this.#tide = tide ?? undefined;
    this.#restartSoon();
  }

  /**
   * Shows this update. This is for many bars with one subscription, which have no `topic` of their own. Null and
   * undefined, which frameworks use for absent values, leave the bar as it is.
   */
  set update(update: Update | null | undefined) {
    if (update && update !== this.#update) {
      if (update.topic !== this.#job?.topic) {
        this.#job = undefined;
      }
      this.#take(update);
    }
    this.#update = update ?? undefined;
  }

  get update(): Update | undefined {
    return this.#update;
  }

  /** Frameworks use null and undefined for absent values. */
  #reflect(name: string, value: string | null | undefined): void {
    if (value === null || value === undefined) {
      this.removeAttribute(name);
    } else {
      this.setAttribute(name, value);
    }
  }

  /** The job, according to its last update. */
  get job(): Job | undefined {
    return this.#job;
  }

  /** The state that it shows. */
  get state(): ProgressState {
    if (this.#error !== undefined) {
      return 'error';
    }
    if (this.#job === undefined) {
      return this.#isUnreachable ? 'unreachable' : 'waiting';
    }
    const state = STATE_OF_STATUS[this.#job.status];
    return state === 'running' && this.#isStale ? 'stale' : state;
  }

  connectedCallback(): void {
    this.#adoptEarlyProperties();
    this.#view ??= new View(this.shadowRoot ?? this.attachShadow({ mode: 'open' }));
    this.#readLanguage();
    this.#pageLanguage ??= new MutationObserver(() => this.#readLanguage());
    this.#pageLanguage.observe(this.ownerDocument.documentElement, { attributeFilter: ['lang'] });
    this.#restartSoon();
  }

  adoptedCallback(): void {
    this.#view?.restyle();
  }

  #readLanguage(): void {
    this.#language = languageOf(this);
    this.#formats = formats(this.#language);
    this.#show();
  }

  /**
   * Properties that were set before the element was upgraded are own properties, and hide the accessors of this class.
   */
  #adoptEarlyProperties(): void {
    for (const name of ['topic', 'src', 'label', 'tide', 'update'] as const) {
      if (Object.hasOwn(this, name)) {
        const value = this[name];
        delete (this as Partial<Record<typeof name, unknown>>)[name];
        (this as Record<typeof name, unknown>)[name] = value;
      }
    }
  }

  disconnectedCallback(): void {
    this.#pageLanguage?.disconnect();
    this.#tickWhile(false);
    // An element that is moved is connected again within the task.
    this.#restartSoon();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) {
      return;
    }
    if (SHOWN_ONLY.includes(name)) {
      this.#readLanguage();
    } else {
      this.#restartSoon();
    }
  }

  /** Subscribes again at the end of the task, once for all changes in it. */
  #restartSoon(): void {
    if (!this.#isRestartDue) {
      this.#isRestartDue = true;
      queueMicrotask(() => {
        this.#isRestartDue = false;
        this.#restart();
      });
    }
  }

  #restart(): void {
    const hasSource = this.topic !== '' || this.#tide !== undefined;
    const wanted = this.isConnected && hasSource ? this.#wanted() : undefined;
    if (isEqual(wanted, this.#watched)) {
      return;
    }
    const before = this.#share;
    this.#stop();
    this.#watched = wanted;
    if (wanted !== undefined) {
      // A job that is given by `update` stays, whichever connection it came from.
      if (this.topic !== '') {
        if (wanted.job !== this.#lastJob || wanted.tide !== this.#lastTide) {
          this.#job = undefined;
        }
        this.#lastJob = wanted.job;
        this.#lastTide = wanted.tide;
      }
      this.#start(wanted);
    }
    // Released last, so that a connection that is still wanted stays open.
    before?.release();
    this.#show();
  }

  #wanted(): Watched {
    const throttle = this.getAttribute('throttle') ?? THROTTLE_DEFAULT;
    return {
      job: `${this.topic} ${this.#tide === undefined ? this.src : ''}`,
      tide: this.#tide,
      throttle: (/^\d+$/.test(throttle) ? Number(throttle) : throttle) as Duration,
    };
  }

  #start({ throttle }: Watched): void {
    try {
      if (this.#tide === undefined) {
        this.#share = share(this.src);
      }
      const tide = this.#tide ?? this.#share!.tide;
      this.#stopFollowing = tide.on('state', () => this.#follow(tide));
      this.#follow(tide);
      if (this.topic === '') {
        return;
      }
      this.#subscription = tide.subscribe(
        this.topic,
        { throttle, onEnd: () => this.#finish(), onError: (error) => this.#fail(error) },
        (update) => this.#take(update),
      );
    } catch (error) {
      this.#fail(error as TidegateError);
    }
  }

  #stop(): void {
    this.#subscription?.();
    this.#subscription = undefined;
    this.#stopFollowing?.();
    this.#stopFollowing = undefined;
    this.#share = undefined;
    this.#error = undefined;
    this.#isStale = false;
    this.#isUnreachable = false;
    this.#reason = undefined;
    this.#tickWhile(false);
  }

  #take(update: Update): void {
    this.#job = readJob(update, performance.now(), { now: Date.now(), before: this.#job });
    this.#show();
  }

  #fail(error: TidegateError): void {
    this.#error = error;
    this.#show();
  }

  /** The topic has ended: the job stays visible, and the share in the connection is given back. */
  #finish(): void {
    const share = this.#share;
    this.#stop();
    share?.release();
    this.#show();
  }

  #follow(tide: Tide): void {
    const { state } = tide;
    this.#isStale = state.status !== 'connected';
    this.#reason = 'reason' in state ? state.reason : undefined;
    if (state.status === 'connecting') {
      this.#isUnreachable = state.attempt > FAILED_ATTEMPTS_MAX;
    } else if (state.status !== 'disconnected') {
      this.#isUnreachable = false;
    }
    if (state.status === 'closed') {
      this.#fail(state.error ?? new TidegateError('closed', 'the connection was closed'));
    } else {
      this.#show();
    }
  }

  #show(): void {
    if (this.#view === undefined) {
      return;
    }
    const shown = this.#shown();
    const before = this.#shownState;
    this.#shownState = shown.state;
    this.#view.show(shown);
    this.#tickWhile(shown.state === 'running' && this.isConnected);
    if (shown.state !== before) {
      const wasRunning = before === 'running' || before === 'stale';
      this.#view.announce(
        wasRunning && isOver(shown.state) ? `${shown.label}: ${shown.words[shown.state]}` : '',
      );
      this.setAttribute('state', shown.state);
      this.dispatchEvent(new Event('statechange'));
    }
  }

  #shown(): Shown {
    const job = this.#job;
    const { state } = this;
    // While the server is unreachable, the reason is more useful than the last message of a job that may be going on.
    const reason =
      this.#isUnreachable && (state === 'stale' || state === 'unreachable') ? this.#reason : undefined;
    return {
      state,
      job,
      label: this.label || (job?.name ?? this.topic),
      message: this.#error?.message ?? reason ?? job?.message ?? '',
      formats: this.#formats!,
      language: this.#language,
      nouns: this.#nouns(),
      words: (this.constructor as typeof TideProgressElement).words,
      now: performance.now(),
    };
  }

  #nouns(): WorkNouns {
    const given = NOUNS.map((name) => [name, this.getAttribute(name)] as const);
    return Object.fromEntries(given.filter(([, forms]) => forms !== null));
  }

  #tickWhile(isRunning: boolean): void {
    if (isRunning) {
      this.#ticker ??= setInterval(() => this.#view?.showTime(this.#shown()), TICK_MS);
    } else {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
  }
}
