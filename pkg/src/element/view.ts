/** What is inside of a `<tide-progress>`: it changes what differs and leaves the rest alone. */

import { type Formats, percent } from '../progress/format.js';
import { type Job, timeText } from '../progress/job.js';
import { STYLE } from './style.js';
import { isOver, type ProgressState, type ProgressWords } from './words.js';

/** What is to be shown. */
export interface Shown {
  readonly state: ProgressState;
  readonly job: Job | undefined;
  readonly label: string;
  readonly message: string;
  readonly formats: Formats;
  readonly words: ProgressWords;
  /** On the clock that the job was read by, in milliseconds. */
  readonly now: number;
}

const PARTS = ['label', 'state', 'percent', 'amount', 'rate', 'time', 'message'] as const;

/** One for all elements. A sheet that is made, not written into the page, is within any Content-Security-Policy. */
let sheet: CSSStyleSheet | undefined;

function sharedSheet(): CSSStyleSheet {
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
  }
  return sheet;
}

/** An element that is styled by its class in here, and by its part from outside. */
function make(tag: string, name: string, ...children: Node[]): HTMLElement {
  const element = document.createElement(tag);
  element.className = name;
  element.part = name;
  element.append(...children);
  return element;
}

/** @internal */
export class View {
  readonly #bar: HTMLElement;
  readonly #fill = make('div', 'fill');
  readonly #spoken = make('span', 'spoken');
  readonly #parts: Readonly<Record<(typeof PARTS)[number], HTMLElement>>;

  constructor(root: ShadowRoot) {
    const parts = Object.fromEntries(PARTS.map((name) => [name, make('span', name)])) as Record<
      (typeof PARTS)[number],
      HTMLElement
    >;
    this.#parts = parts;
    this.#bar = make('div', 'bar', this.#fill);
    this.#bar.setAttribute('role', 'progressbar');
    this.#bar.setAttribute('aria-valuemin', '0');
    this.#bar.setAttribute('aria-valuemax', '100');
    this.#spoken.setAttribute('role', 'status');
    root.adoptedStyleSheets = [sharedSheet()];
    root.append(
      make('div', 'line', parts.label, parts.state, parts.percent),
      this.#bar,
      make('div', 'line facts', parts.amount, parts.rate, parts.time, parts.message),
      this.#spoken,
    );
  }

  show(shown: Shown): void {
    const { state, job, label, message, formats, words } = shown;
    const parts = this.#parts;
    const progress = job?.progress;
    setText(parts.label, label);
    parts.label.title = label;
    setText(parts.state, words[state]);
    setText(parts.percent, progress === undefined ? '' : formats.percent(progress));
    setText(parts.amount, job?.done === undefined ? '' : formats.amount(job.done, job.total, job.unit));
    setText(parts.rate, job?.rate === undefined ? '' : formats.speed(job.rate, job.unit));
    setText(parts.message, message);
    parts.message.title = message;
    this.#showBar(shown);
    this.showTime(shown);
  }

  /** Moves the clock on: what is left, or what it took so far. */
  showTime({ job, formats, words, now }: Shown): void {
    setText(this.#parts.time, job === undefined ? '' : timeText(job, now, formats, words));
  }

  /** Tells those who listen to the page rather than see it. */
  announce(text: string): void {
    setText(this.#spoken, text);
  }

  #showBar({ state, job, label, formats, words }: Shown): void {
    const progress = job?.progress;
    const hasEnded = isOver(state);
    this.#bar.classList.toggle('unmeasured', progress === undefined && !hasEnded);
    this.#fill.style.setProperty('--share', String(progress ?? (hasEnded ? 1 : 0)));
    this.#bar.setAttribute('aria-label', label);
    // Busy is what has yet to tell anything: what is busy may be skipped by those who read a page aloud.
    this.#bar.setAttribute('aria-busy', String(state === 'waiting'));
    if (progress === undefined) {
      this.#bar.removeAttribute('aria-valuenow');
      this.#bar.setAttribute('aria-valuetext', words[state]);
    } else {
      this.#bar.setAttribute('aria-valuenow', String(percent(progress)));
      this.#bar.setAttribute('aria-valuetext', `${formats.percent(progress)}, ${words[state]}`);
    }
  }
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
