import { amount, percent, span, speed } from './format.js';
import type { Job } from './job.js';

const STATE_WORDS = {
  RUNNING: 'Running',
  COMPLETE: 'Complete',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
} as const;

/** One job's element. It changes what differs and leaves the rest alone. */
export class Card {
  readonly element: HTMLLIElement;
  readonly #bar: HTMLElement;
  readonly #parts: Readonly<
    Record<'name' | 'state' | 'percent' | 'amount' | 'rate' | 'time' | 'message', HTMLElement>
  >;

  constructor(template: HTMLTemplateElement) {
    const content = template.content.cloneNode(true) as DocumentFragment;
    const part = (name: string): HTMLElement => content.querySelector<HTMLElement>(`.${name}`)!;
    this.element = content.querySelector('li')!;
    this.#bar = part('bar');
    this.#parts = {
      name: part('name'),
      state: part('state'),
      percent: part('percent'),
      amount: part('amount'),
      rate: part('rate'),
      time: part('time'),
      message: part('message'),
    };
  }

  /** Shows `job` as it is at `now`. */
  show(job: Job, now: number): void {
    const shown = job.progress === undefined ? undefined : percent(job.progress);
    this.element.dataset['status'] = job.status;
    this.element.classList.toggle('unmeasured', shown === undefined && job.status === 'RUNNING');
    this.element.style.setProperty('--fill', String(job.progress ?? (job.status === 'RUNNING' ? 0 : 1)));
    setText(this.#parts.name, job.name);
    this.#parts.name.title = job.name === job.topic ? job.topic : `${job.name} (${job.topic})`;
    setText(this.#parts.state, STATE_WORDS[job.status]);
    setText(this.#parts.percent, shown === undefined ? '' : `${shown}%`);
    setText(this.#parts.amount, job.done === undefined ? '' : amount(job.done, job.total, job.unit));
    setText(this.#parts.rate, job.rate === undefined ? '' : speed(job.rate, job.unit));
    setText(this.#parts.message, job.message);
    this.#parts.message.title = job.message;
    this.#showBar(job, shown);
    this.showTime(job, now);
  }

  #showBar(job: Job, shown: number | undefined): void {
    this.#bar.setAttribute('aria-label', job.name);
    if (shown === undefined) {
      this.#bar.removeAttribute('aria-valuenow');
      this.#bar.setAttribute('aria-valuetext', STATE_WORDS[job.status]);
    } else {
      this.#bar.setAttribute('aria-valuenow', String(shown));
      this.#bar.setAttribute('aria-valuetext', `${shown}%, ${STATE_WORDS[job.status].toLowerCase()}`);
    }
  }

  /** Moves the clock of `job` on to `now`: what is left of a running job, and what it took so far. */
  showTime(job: Job, now: number): void {
    setText(this.#parts.time, timeText(job, now));
  }
}

function timeText(job: Job, now: number): string {
  if (job.status !== 'RUNNING') {
    return job.elapsedMs === undefined ? '' : span(job.elapsedMs);
  }
  const since = now - job.seenAt;
  const remainingMs = job.remainingMs === undefined ? undefined : job.remainingMs - since;
  // An estimate that has run out says nothing any more.
  if (remainingMs !== undefined && remainingMs > -500) {
    return `${span(Math.max(remainingMs, 0))} left`;
  }
  return job.elapsedMs === undefined ? '' : `${span(job.elapsedMs + since)} so far`;
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
