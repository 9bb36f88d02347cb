import type { TopicPosition } from 'tidegate';
import { type Job, STATUSES, type Status } from 'tidegate/progress';

import { Card } from './card.js';

/** How long a job that ended stays in its place, so that the eye can follow, in milliseconds. */
const SETTLE_MS = 1_600;

/** How many finished jobs the page keeps; the oldest leave first. */
const FINISHED_MAX = 200;

/** How many announcements are kept to be read out: hundreds of jobs may end together, and nobody listens to hundreds of names. */
const ANNOUNCED_MAX = 5;

/** How long a card takes to move to its new place, in milliseconds. */
const MOVE_MS = 320;

interface Entry {
  job: Job;
  readonly card: Card;
  dirty: boolean;
  settled: boolean;
  settleTimer: number | undefined;
}

/** All jobs: running ones on top, in order of arrival, and finished ones below, the latest first. */
export class Board {
  readonly #entries = new Map<string, Entry>();
  readonly #dirty = new Set<Entry>();
  readonly #template = byId<HTMLTemplateElement>('job-template');
  readonly #running = byId('running');
  readonly #finished = byId('finished');
  /** When the finished jobs ended, by their own clocks; Infinity for those that ended since the page was opened. */
  readonly #endings = new WeakMap<Element, number>();
  readonly #announcer = byId('announcer');
  #dropped = 0;
  #isLive = true;
  #frame: number | undefined;

  constructor() {
    setInterval(() => this.#tick(), 1_000);
  }

  /** The job of a topic, as it is known. */
  job(topic: string): Job | undefined {
    return this.#entries.get(topic)?.job;
  }

  /** Updates a job, which is drawn with the next frame. */
  put(job: Job): void {
    const entry = this.#entries.get(job.topic) ?? this.#add(job);
    const ended = entry.job.status === 'RUNNING' && job.status !== 'RUNNING';
    const restarted = entry.job.status !== 'RUNNING' && job.status === 'RUNNING';
    entry.job = job;
    if (ended) {
      // None takes the place of one that has yet to be read out.
      const said = document.createElement('p');
      said.textContent = announcement(job);
      this.#announcer.append(said);
      if (this.#announcer.childElementCount > ANNOUNCED_MAX) {
        this.#announcer.firstElementChild!.remove();
      }
      entry.settleTimer = window.setTimeout(() => this.#settle(entry), SETTLE_MS);
    } else if (restarted) {
      this.#unsettle(entry);
    }
    this.#touch(entry);
  }

  #add(job: Job): Entry {
    const entry: Entry = {
      job,
      card: new Card(this.#template),
      dirty: false,
      settled: job.status !== 'RUNNING',
      settleTimer: undefined,
    };
    this.#entries.set(job.topic, entry);
    if (entry.settled) {
      this.#insertEnded(entry);
    } else {
      this.#running.append(entry.card.element);
    }
    return entry;
  }

  /** Inserts a job that had ended when the page was opened: after the jobs that ended later or at an unknown time. */
  #insertEnded({ card: { element }, job: { endedAt } }: Entry): void {
    const endings = this.#endings;
    const isEarlier = (other: Element): boolean => endings.get(other)! <= (endedAt ?? Infinity);
    this.#finished.insertBefore(element, [...this.#finished.children].find(isEarlier) ?? null);
    endings.set(element, endedAt ?? Infinity);
    this.#dropOldest();
  }

  #settle(entry: Entry): void {
    entry.settleTimer = undefined;
    entry.settled = true;
    this.#endings.set(entry.card.element, Infinity);
    this.#moving(() => this.#finished.prepend(entry.card.element));
    this.#dropOldest();
    this.#summarise();
  }

  #unsettle(entry: Entry): void {
    window.clearTimeout(entry.settleTimer);
    entry.settleTimer = undefined;
    if (entry.settled) {
      entry.settled = false;
      this.#moving(() => this.#running.append(entry.card.element));
    }
  }

  #dropOldest(): void {
    while (this.#finished.childElementCount > FINISHED_MAX) {
      const last = this.#finished.lastElementChild!;
      for (const [topic, entry] of this.#entries) {
        if (entry.card.element === last) {
          this.#entries.delete(topic);
          this.#dirty.delete(entry);
        }
      }
      last.remove();
      this.#dropped += 1;
    }
  }

  /**
   * The history of a topic is lost. With epoch 0, the topic no longer exists: a running job is removed, and a finished
   * one stays.
   */
  forget({ topic, epoch }: TopicPosition): void {
    const entry = this.#entries.get(topic);
    if (epoch === 0 && entry?.job.status === 'RUNNING') {
      entry.card.element.remove();
      this.#entries.delete(topic);
      this.#summarise();
    }
  }

  #touch(entry: Entry): void {
    this.#dirty.add(entry);
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = undefined;
    const now = performance.now();
    for (const entry of this.#dirty) {
      entry.card.show(entry.job, now);
    }
    this.#dirty.clear();
    this.#dropOldest();
    this.#summarise();
  }

  /** While the connection is lost, the last known state stays, and its clocks stand still. */
  setLive(isLive: boolean): void {
    this.#isLive = isLive;
  }

  #tick(): void {
    if (!this.#isLive) {
      return;
    }
    const now = performance.now();
    for (const entry of this.#entries.values()) {
      if (entry.job.status === 'RUNNING') {
        entry.card.showTime(entry.job, now);
      }
    }
  }

  #summarise(): void {
    const counts: Record<Status, number> = { RUNNING: 0, COMPLETE: 0, FAILED: 0, CANCELLED: 0 };
    for (const entry of this.#entries.values()) {
      counts[entry.job.status] += 1;
    }
    for (const status of STATUSES) {
      const count = byId(`count-${status}`);
      count.textContent = String(counts[status]);
      count.parentElement!.classList.toggle('some', counts[status] > 0);
    }
    const more = byId('more');
    more.hidden = this.#dropped === 0;
    more.textContent = `${this.#dropped} older ${this.#dropped === 1 ? 'job is' : 'jobs are'} not shown.`;
    byId('running-section').hidden = this.#running.childElementCount === 0;
    byId('finished-section').hidden = this.#finished.childElementCount === 0;
    byId('empty').hidden = this.#entries.size > 0;
    document.title = counts.RUNNING > 0 ? `(${counts.RUNNING}) Tidegate` : 'Tidegate';
  }

  /** Removes all jobs: the next reader may not be allowed to see them. */
  clear(): void {
    for (const { card, settleTimer } of this.#entries.values()) {
      window.clearTimeout(settleTimer);
      card.element.remove();
    }
    this.#entries.clear();
    this.#dirty.clear();
    this.#dropped = 0;
    this.#announcer.replaceChildren();
    this.#summarise();
    byId('empty').hidden = true;
  }

  /** Shows the page for a server that has no jobs. */
  showEmpty(): void {
    this.#summarise();
  }

  /** Changes the layout, and animates the visible cards to their new places. */
  #moving(change: () => void): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      change();
      return;
    }
    const before = this.#visibleCards();
    change();
    this.#summarise();
    for (const [element, { left, top }] of before) {
      const now = element.getBoundingClientRect();
      const [x, y] = [left - now.left, top - now.top];
      if (x !== 0 || y !== 0) {
        element.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: 'none' }], {
          duration: MOVE_MS,
          easing: 'cubic-bezier(0.2, 0, 0, 1)',
        });
      }
    }
  }

  #visibleCards(): Map<HTMLElement, DOMRect> {
    const visible = new Map<HTMLElement, DOMRect>();
    for (const { card } of this.#entries.values()) {
      const rect = card.element.getBoundingClientRect();
      if (rect.bottom > 0 && rect.top < window.innerHeight) {
        visible.set(card.element, rect);
      }
    }
    return visible;
  }
}

function announcement(job: Job): string {
  switch (job.status) {
    case 'COMPLETE':
      return `${job.name} is complete.`;
    case 'FAILED':
      return `${job.name} failed. ${job.message}`;
    case 'CANCELLED':
      return `${job.name} was cancelled.`;
    case 'RUNNING':
      return '';
  }
}

function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}
