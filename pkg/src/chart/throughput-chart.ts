import { supportedLanguage } from '../progress/format.js';
import { languageOf, part, style } from '../shadow.js';
import { Rates } from './rates.js';
import { STYLE } from './style.js';

/** Options of {@link ThroughputChart}. */
export interface ThroughputChartOptions {
  /** The title. */
  readonly title: string;
  /** The names of one or two totals whose speed is drawn. */
  readonly series: readonly [string] | readonly [string, string];
  /** The unit of time of the speeds. Default: `'second'`. */
  readonly per?: 'second' | 'minute' | 'hour' | undefined;
  /** How far it looks back, in milliseconds. Default: five minutes. */
  readonly spanMs?: number | undefined;
  /** The interval over which each speed is averaged, in milliseconds. Default: two seconds. */
  readonly bucketMs?: number | undefined;
  /** The language of numbers and times, such as `de`. Default: that of the nearest `lang`. */
  readonly language?: string | undefined;
  /** A description for screen readers. Default: in English, each name with its current and its highest speed. */
  readonly describe?: ((series: readonly SpokenSeries[]) => string) | undefined;
}

/** One series, as it is described to screen readers. */
export interface SpokenSeries {
  readonly name: string;
  /** The current speed, such as `12/s`. */
  readonly now: string;
  /** The highest speed. */
  readonly highest: string;
}

const PER_MS = { second: 1_000, minute: 60_000, hour: 3_600_000 } as const;
const SPAN_DEFAULT_MS = 300_000;
const BUCKET_DEFAULT_MS = 2_000;

/** The size of the drawing in its own units, before it is stretched. */
const WIDTH = 1_000;
const HEIGHT = 100;

const SVG = 'http://www.w3.org/2000/svg';
const NAMES = ['first', 'second'] as const;

const ENGLISH = (series: readonly SpokenSeries[]): string =>
  series.map(({ name, now, highest }) => `${name}: ${now} now, ${highest} at most.`).join(' ');

let lastId = 0;

/**
 * A chart of how fast totals grew over the last minutes. It fills an element of the page.
 *
 * ```ts
 * const chart = new ThroughputChart(element, { title: 'Labels', series: ['Labels'], per: 'minute' });
 * setInterval(() => chart.add(performance.now(), [work.done]), 1_000);
 * ```
 */
export class ThroughputChart {
  readonly #options: ThroughputChartOptions;
  readonly #perBucket: number;
  readonly #bucketMs: number;
  readonly #rates: readonly Rates[];
  readonly #numbers: Intl.NumberFormat;
  readonly #unit: string;
  readonly #parts: Parts;
  #drawn = -1;

  /** Draws into `host`, which must have a height, and no content of its own. */
  constructor(host: HTMLElement, options: ThroughputChartOptions) {
    const { per = 'second', spanMs = SPAN_DEFAULT_MS, bucketMs = BUCKET_DEFAULT_MS } = options;
    const asked = options.language ?? languageOf(host);
    const language = supportedLanguage(asked);
    const buckets = Math.max(Math.round(spanMs / bucketMs), 2);
    this.#options = options;
    this.#bucketMs = bucketMs;
    this.#perBucket = PER_MS[per] / bucketMs;
    this.#rates = options.series.map(() => new Rates(bucketMs, buckets));
    this.#numbers = new Intl.NumberFormat(language, { maximumSignificantDigits: 3, notation: 'compact' });
    this.#unit = unitOf(per, language);
    this.#parts = build(host, options, ago(buckets * bucketMs, language));
    this.#draw(0);
  }

  /**
   * Adds the totals of the series at `now`, in milliseconds; undefined for a total that isn't known. Call it about once
   * a second, even if nothing changes, so that the chart moves on.
   */
  add(now: number, totals: readonly (number | undefined)[]): void {
    for (const [index, rates] of this.#rates.entries()) {
      const total = totals[index];
      if (total !== undefined) {
        rates.add(now, total);
      }
    }
    const bucket = Math.floor(now / this.#bucketMs);
    if (bucket !== this.#drawn) {
      this.#drawn = bucket;
      this.#draw(now);
    }
  }

  #draw(now: number): void {
    const series = this.#rates.map((rates) =>
      rates.read(now).map((grown) => (grown === undefined ? undefined : grown * this.#perBucket)),
    );
    const most = Math.max(0, ...series.flat().map((speed) => speed ?? 0));
    const top = niceTop(most);
    const { lines, areas, values, scales, description } = this.#parts;
    for (const [index, speeds] of series.entries()) {
      const line = path(speeds, top);
      lines[index]!.setAttribute('d', line.path);
      areas[index]!.setAttribute('d', line.area);
      values[index]!.textContent = this.#speed(latest(speeds));
    }
    scales.top.textContent = this.#speed(top);
    scales.middle.textContent = this.#speed(top / 2);
    const { describe = ENGLISH } = this.#options;
    description.textContent = describe(
      series.map((speeds, index) => ({
        name: this.#options.series[index]!,
        now: this.#speed(latest(speeds)),
        highest: this.#speed(Math.max(0, ...speeds.map((speed) => speed ?? 0))),
      })),
    );
  }

  #speed(speed: number | undefined): string {
    return speed === undefined ? '–' : `${this.#numbers.format(speed)}/${this.#unit}`;
  }
}

/** The parts of a chart that change. */
interface Parts {
  readonly lines: readonly Element[];
  readonly areas: readonly Element[];
  readonly values: readonly Element[];
  readonly scales: { readonly top: Element; readonly middle: Element };
  readonly description: Element;
}

function build(host: HTMLElement, { title, series }: ThroughputChartOptions, since: Since): Parts {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  style(root, STYLE);
  lastId += 1;
  const [titleId, descriptionId] = [`title-${lastId}`, `description-${lastId}`];
  const heading = text(svg('title', { id: titleId }), title);
  const description = svg('desc', { id: descriptionId });
  const grid = svg('path', {
    class: 'grid',
    d: [0, HEIGHT / 2, HEIGHT].map((y) => `M0 ${y}H${WIDTH}`).join(''),
  });
  const drawn = (kind: string): Element[] =>
    series.map((_, index) => svg('path', { class: `${kind} ${NAMES[index]}` }));
  const [areas, lines] = [drawn('area'), drawn('line')];
  const drawing = svg(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-labelledby': titleId,
      'aria-describedby': descriptionId,
    },
    heading,
    description,
    grid,
    ...areas,
    ...lines,
  );
  const scales = { top: part('span', 'scale top'), middle: part('span', 'scale middle') };
  const values = series.map(() => part('span', 'value'));
  const keys = series.map((name, index) => {
    const key = part('span', `key ${NAMES[index]}`);
    key.append(`${name} `, values[index]!);
    return key;
  });
  const head = part('div', 'head', text(part('span', 'title'), title), ...keys);
  const foot = part(
    'div',
    'foot',
    text(part('span', 'since'), since.then),
    text(part('span', 'now'), since.now),
  );
  for (const silent of [head, foot, scales.top, scales.middle]) {
    silent.setAttribute('aria-hidden', 'true');
  }
  const plot = part('div', 'plot', drawing, scales.top, scales.middle);
  root.replaceChildren(part('figure', 'chart', head, plot, foot));
  return { lines, areas, values, scales, description };
}

function svg(name: string, attributes: Readonly<Record<string, string>>, ...children: Element[]): Element {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) {
    element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}

function text<E extends Element>(element: E, content: string): E {
  element.textContent = content;
  return element;
}

interface Since {
  readonly then: string;
  readonly now: string;
}

/** The labels at both ends of the time axis. */
function ago(spanMs: number, language: string | undefined): Since {
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
  const minutes = Math.round(spanMs / 60_000);
  const then = minutes > 0 ? relative.format(-minutes, 'minute') : relative.format(-spanMs / 1_000, 'second');
  return { then, now: relative.format(0, 'second') };
}

function unitOf(per: 'second' | 'minute' | 'hour', language: string | undefined): string {
  const unitDisplay = per === 'second' ? 'narrow' : 'long';
  const parts = new Intl.NumberFormat(language, { style: 'unit', unit: per, unitDisplay }).formatToParts(1);
  return parts.find(({ type }) => type === 'unit')?.value ?? per;
}

/** The lowest round number that is at least `most` and easily halved. */
function niceTop(most: number): number {
  if (most <= 0) {
    return 1;
  }
  const power = 10 ** Math.floor(Math.log10(most));
  return (
    [1, 1.5, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((top) => top >= most * (1 - 1e-9)) ??
    10 * power
  );
}

function latest(speeds: readonly (number | undefined)[]): number | undefined {
  return speeds.findLast((speed) => speed !== undefined);
}

/** A line through the known speeds, and the area below it. */
function path(speeds: readonly (number | undefined)[], top: number): { path: string; area: string } {
  const step = WIDTH / (speeds.length - 1);
  let [line, area] = ['', ''];
  let from: number | undefined;
  for (const [index, speed] of [...speeds, undefined].entries()) {
    const x = round(index * step);
    if (speed === undefined) {
      area += from === undefined ? '' : `V${HEIGHT}H${from}Z`;
      from = undefined;
      continue;
    }
    const y = round(HEIGHT - (HEIGHT * speed) / top);
    line += from === undefined ? `M${x} ${y}` : `L${x} ${y}`;
    area += from === undefined ? `M${x} ${y}` : `L${x} ${y}`;
    from ??= x;
  }
  return { path: line, area };
}

function round(number: number): number {
  return Math.round(number * 10) / 10;
}
