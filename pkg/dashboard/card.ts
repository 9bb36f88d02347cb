import { formats, type Job, percent, timeText, workTexts } from 'tidegate/progress';

const english = formats('en');

const STATE_WORDS = {
  RUNNING: 'Running',
  COMPLETE: 'Complete',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
} as const;

/** The element of one job. Only the parts that differ are changed. */
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
    setText(this.#parts.name, job.name, true);
    this.#parts.name.title = job.name === job.topic ? job.topic : `${job.name} (${job.topic})`;
    setText(this.#parts.state, STATE_WORDS[job.status]);
    setText(this.#parts.percent, shown === undefined ? '' : `${shown}%`);
    const { amount, rate } = factsOf(job);
    setText(this.#parts.amount, amount);
    setText(this.#parts.rate, rate);
    setText(this.#parts.message, job.message, true);
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

  /** Updates the time left, or taken so far, to `now`. */
  showTime(job: Job, now: number): void {
    const { work } = job;
    const isCounted = work !== undefined && job.status === 'RUNNING';
    const eta = isCounted ? workTexts(work, { language: 'en', sinceMs: now - job.seenAt }).eta : undefined;
    setText(this.#parts.time, eta ?? timeText(job, now, english));
  }
}

/** The amount done and the speed; for work that many do together, also how many are active. */
function factsOf({ work, done, total, unit, rate }: Job): { amount: string; rate: string } {
  if (work !== undefined) {
    const texts = workTexts(work, { language: 'en' });
    const facts = [texts.amount, texts.active].filter((text) => text !== '');
    return { amount: facts.join(', '), rate: texts.rate };
  }
  return {
    amount: done === undefined ? '' : english.amount(done, total, unit),
    rate: rate === undefined ? '' : english.speed(rate, unit),
  };
}

/** Shows a text. Those of jobs are in a language of their own, which may have another direction. */
function setText(element: HTMLElement, text: string, isOfJob = false): void {
  if (element.textContent !== text) {
    element.textContent = text;
    if (isOfJob) {
      // Chromium looks for the direction when this is set, but not when an empty element gets its first text.
      element.dir = 'auto';
    }
  }
}
