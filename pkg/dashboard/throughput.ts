import type { Update } from 'tidegate';
import { ThroughputChart } from 'tidegate/chart';
import { readWork } from 'tidegate/progress';

import { Published } from './published.js';

/** How often the server is asked and the chart moves on, in milliseconds. */
const EVERY_MS = 1_000;

/** The totals in the answer to `GET /debug`. */
interface Totals {
  readonly publishes: number;
  readonly frames: number;
}

/** Where the chart's totals come from. */
type Source =
  /** The server's own counts, for readers who may see everything. */
  | 'server'
  /** The publications of the followed topics. They are counted by offsets, so conflated ones count, too. */
  | 'topics'
  /** The amount done of the one piece of work that the page follows. */
  | 'work';

const CHARTS = {
  server: { title: 'Throughput of the server', series: ['Publications', 'Deliveries'] },
  topics: { title: 'Throughput of these topics', series: ['Publications'] },
  work: { title: 'Speed of the work', series: ['Done'], per: 'minute', bucketMs: 5_000 },
} as const;

/** The chart of the page: publications and deliveries, or work done, over the last minutes. */
export class Throughput {
  readonly #host = document.getElementById('throughput')!;
  readonly #token: () => string | undefined;
  #source: Source = 'server';
  #chart: ThroughputChart | undefined;
  readonly #published = new Published();
  #done: number | undefined;
  #isAsking = false;

  /** `token` returns the reader's token, if there is one. */
  constructor(token: () => string | undefined) {
    this.#token = token;
    this.#draw('server');
    setInterval(() => this.#tick(), EVERY_MS);
  }

  /** Starts over for another reader. */
  restart(): void {
    this.#draw('server');
  }

  /** Counts an update. `isOnly`: the page follows no other topic. */
  put(update: Update, isOnly: boolean): void {
    this.#published.note(update);
    const work = isOnly ? readWork(update.data) : undefined;
    if (work !== undefined) {
      this.#done = work.done;
      if (this.#source !== 'work') {
        this.#draw('work');
      }
    }
  }

  #draw(source: Source): void {
    this.#source = source;
    this.#chart = new ThroughputChart(this.#host, CHARTS[source]);
  }

  #tick(): void {
    if (this.#source === 'server') {
      void this.#ask();
    } else {
      this.#chart!.add(performance.now(), [this.#source === 'work' ? this.#done : this.#published.total]);
    }
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) {
      return;
    }
    this.#isAsking = true;
    try {
      const token = this.#token();
      const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
      const response = await fetch(new URL('debug?topics=0', location.href), { headers, cache: 'no-store' });
      if (response.ok) {
        const { done } = (await response.json()) as { readonly done: Totals };
        if (this.#source === 'server') {
          this.#chart!.add(performance.now(), [done.publishes, done.frames]);
        }
      } else if (response.status === 401 || response.status === 403) {
        this.#draw('topics');
      }
    } catch {
      // The server is unreachable, which the page shows elsewhere.
    } finally {
      this.#isAsking = false;
    }
  }
}
