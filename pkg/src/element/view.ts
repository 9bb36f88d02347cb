/** The shadow tree of a `<tide-progress>`. Only the parts that differ are changed. */

import { percent } from '../progress/format.js';
import { part, style } from '../shadow.js';
import { STYLE } from './style.js';
import { type Shown, type Texts, textsOf } from './texts.js';
import { isOver } from './words.js';

const PARTS = ['label', 'state', 'percent', 'amount', 'active', 'rate', 'time', 'message'] as const;

/** @internal */
export class View {
  readonly #root: ShadowRoot;
  readonly #bar: HTMLElement;
  readonly #fill = part('div', 'fill');
  readonly #facts: HTMLElement;
  readonly #spoken = part('span', 'spoken');
  readonly #parts: Readonly<Record<(typeof PARTS)[number], HTMLElement>>;

  constructor(root: ShadowRoot) {
    this.#root = root;
    const parts = Object.fromEntries(PARTS.map((name) => [name, part('span', name)])) as Record<
      (typeof PARTS)[number],
      HTMLElement
    >;
    this.#parts = parts;
    this.#bar = part('div', 'bar', this.#fill);
    this.#bar.setAttribute('role', 'progressbar');
    this.#bar.setAttribute('aria-valuemin', '0');
    this.#bar.setAttribute('aria-valuemax', '100');
    this.#spoken.setAttribute('role', 'status');
    this.#facts = part(
      'div',
      'line facts',
      parts.amount,
      parts.active,
      parts.rate,
      parts.time,
      parts.message,
    );
    this.restyle();
    root.append(
      part('div', 'line', parts.label, parts.state, parts.percent),
      this.#bar,
      this.#facts,
      this.#spoken,
    );
  }

  /** Styles the tree for the document that it is in. */
  restyle(): void {
    style(this.#root, STYLE);
  }

  show(shown: Shown): void {
    const { state, job, label, message, words } = shown;
    const parts = this.#parts;
    const texts = textsOf(shown);
    setText(parts.label, label, true);
    parts.label.title = label;
    setText(parts.state, words[state]);
    setText(parts.percent, texts.percent);
    setText(parts.amount, texts.amount);
    setText(parts.active, texts.active);
    setText(parts.rate, texts.rate);
    setText(parts.time, texts.time);
    setText(parts.message, message, true);
    parts.message.title = message;
    this.#facts.classList.toggle('many', job?.work !== undefined);
    this.#showBar(shown, texts);
  }

  /** Updates the time left, or taken so far. */
  showTime(shown: Shown): void {
    setText(this.#parts.time, textsOf(shown).time);
  }

  /** Announces a text to screen readers. */
  announce(text: string): void {
    setText(this.#spoken, text);
  }

  #showBar({ state, job, label }: Shown, { told }: Texts): void {
    const progress = job?.progress;
    const hasEnded = isOver(state);
    this.#bar.classList.toggle('unmeasured', progress === undefined && !hasEnded);
    this.#fill.style.setProperty('--share', String(progress ?? (hasEnded ? 1 : 0)));
    // A progress bar needs an accessible name, even if there is no topic and no label.
    this.#bar.setAttribute('aria-label', label || told);
    // Only busy until the first update: screen readers may skip content that is busy.
    this.#bar.setAttribute('aria-busy', String(state === 'waiting'));
    this.#bar.setAttribute('aria-valuetext', told);
    if (progress === undefined) {
      this.#bar.removeAttribute('aria-valuenow');
    } else {
      this.#bar.setAttribute('aria-valuenow', String(percent(progress)));
    }
  }
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
