/** The progress of a piece of work, as text in the reader's language. */

import { supportedLanguage } from './format.js';
import type { Work } from './work.js';

/**
 * The words for a piece of work. A noun may have several forms, separated by `|`, in the order of the language's plural
 * categories (zero, one, two, few, many, other, as far as it has them); the last form given stands for all that follow.
 */
export interface WorkNouns {
  /** What is counted: `label|labels`. Without it, the speed is only a number. */
  readonly unit?: string | undefined;
  /** What is done to it: `labeled`. Default: `done`. */
  readonly verb?: string | undefined;
  /** Who does it: `labeler|labelers`. Without it, the number of active ones stands alone. */
  readonly worker?: string | undefined;
}

/** The sentences. Numbers are already formatted, and nouns are in the form for their number. */
export interface WorkWords {
  /** The amount done; with `target` and `percent` if the total is known. */
  readonly amount: (parts: {
    readonly done: string;
    readonly target: string | undefined;
    readonly percent: string | undefined;
    readonly verb: string;
  }) => string;
  /** How many are active; `worker` may be empty. */
  readonly active: (count: string, worker: string) => string;
  /** The speed; `unit` may be empty, `hour` is that word in the language. */
  readonly rate: (count: string, unit: string, hour: string) => string;
  /**
   * When it will be done, such as `in 31 hours`; `range` is how uncertain that is, such as `24–41 hours`, if it is.
   */
  readonly eta: (expected: string, range: string | undefined) => string;
}

/** A piece of work in texts; a text is empty if there is nothing to say. */
export interface WorkTexts {
  /** `47 / 500 labeled (9.4%)` */
  readonly amount: string;
  /** `9.4%` */
  readonly percent: string;
  /** `3 active labelers` */
  readonly active: string;
  /** `~15 labels/hour` */
  readonly rate: string;
  /** `in 31 hours (24–41 hours)` */
  readonly eta: string;
}

/** Options of {@link workTexts}. */
export interface WorkTextOptions {
  /** The language, such as `de` or `pt-BR`. Default: the platform's. */
  readonly language?: string | undefined;
  readonly nouns?: WorkNouns | undefined;
  /** Sentences that replace the default ones, which are English as far as they contain words. */
  readonly words?: Partial<WorkWords> | undefined;
  /** How long ago the work was read, in milliseconds. The time left is reduced by that. */
  readonly sinceMs?: number | undefined;
}

/** @internal */
export const WORK_WORDS: WorkWords = {
  amount: ({ done, target, percent, verb }) =>
    `${target === undefined ? done : `${done} / ${target}`} ${verb}${percent === undefined ? '' : ` (${percent})`}`,
  active: (count, worker) => `${count} active${worker && ` ${worker}`}`,
  rate: (count, unit, hour) => `~${count}${unit && ` ${unit}`}/${hour}`,
  eta: (expected, range) => (range === undefined ? expected : `${expected} (${range})`),
};

const CATEGORIES: readonly Intl.LDMLPluralRule[] = ['zero', 'one', 'two', 'few', 'many', 'other'];

/** A duration is given in the first unit whose `msMax` is longer. */
const UNITS = [
  { unit: 'second', ms: 1_000, msMax: 90_000 },
  { unit: 'minute', ms: 60_000, msMax: 90 * 60_000 },
  { unit: 'hour', ms: 3_600_000, msMax: 48 * 3_600_000 },
  { unit: 'day', ms: 86_400_000, msMax: Number.POSITIVE_INFINITY },
] as const;

type Unit = (typeof UNITS)[number]['unit'];

/** The platform's formatters for one language. */
interface Language {
  readonly whole: Intl.NumberFormat;
  readonly rounded: Intl.NumberFormat;
  readonly share: Intl.NumberFormat;
  readonly plural: Intl.PluralRules;
  readonly relative: Intl.RelativeTimeFormat;
  readonly lengths: Readonly<Record<Unit, Intl.NumberFormat>>;
  readonly hour: string;
}

const cache = new Map<string, Language>();

function languageOf(name: string): Language {
  let found = cache.get(name);
  if (found === undefined) {
    found = make(supportedLanguage(name));
    cache.set(name, found);
  }
  return found;
}

function make(name: string | undefined): Language {
  const length = (unit: Unit): Intl.NumberFormat =>
    new Intl.NumberFormat(name, { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 });
  const lengths = {
    second: length('second'),
    minute: length('minute'),
    hour: length('hour'),
    day: length('day'),
  };
  return {
    whole: new Intl.NumberFormat(name, { maximumFractionDigits: 0 }),
    rounded: new Intl.NumberFormat(name, { maximumSignificantDigits: 3 }),
    share: new Intl.NumberFormat(name, { style: 'percent', maximumFractionDigits: 1 }),
    plural: new Intl.PluralRules(name),
    relative: new Intl.RelativeTimeFormat(name),
    lengths,
    hour: lengths.hour.formatToParts(1).find(({ type }) => type === 'unit')?.value ?? 'h',
  };
}

/** The form of a noun for a number. */
function inflected(forms: string, count: number, { plural }: Language): string {
  const given = forms.split('|');
  const known = plural.resolvedOptions().pluralCategories;
  const own = CATEGORIES.filter((category) => known.includes(category));
  return given[Math.min(own.indexOf(plural.select(count)), given.length - 1)]!;
}

/** Describes a piece of work in texts. */
export function workTexts(work: Work, options: WorkTextOptions = {}): WorkTexts {
  const language = languageOf(options.language ?? '');
  const { unit = '', verb = 'done', worker = '' } = options.nouns ?? {};
  const words = { ...WORK_WORDS, ...options.words };
  const { done, target, active, perHour } = work;
  const percent = target === undefined || target <= 0 ? undefined : percentText(done / target, language);
  const isOver = work.endedMs !== undefined;
  return {
    amount: words.amount({
      done: language.whole.format(done),
      target: target === undefined ? undefined : language.whole.format(target),
      percent,
      verb: inflected(verb, done, language),
    }),
    percent: percent ?? '',
    active: isOver ? '' : words.active(language.whole.format(active), inflected(worker, active, language)),
    rate:
      isOver || perHour <= 0
        ? ''
        : words.rate(language.rounded.format(perHour), inflected(unit, perHour, language), language.hour),
    eta: isOver ? '' : etaText(work, options.sinceMs ?? 0, language, words),
  };
}

/** A share of 1 to a tenth of a percent. Never 100 % before all is done, and never 0 % once something is. */
function percentText(share: number, language: Language): string {
  const thousandths = share >= 1 ? 1_000 : Math.min(Math.floor(share * 1_000 + 1e-9), 999);
  const atLeast = share > 0 ? 1 : 0;
  return language.share.format(Math.max(thousandths, atLeast) / 1_000);
}

function etaText(work: Work, sinceMs: number, language: Language, words: WorkWords): string {
  const { etaMs, etaEarliestMs = etaMs, etaLatestMs } = work;
  if (etaMs === undefined || work.remaining === 0) {
    return '';
  }
  const left = (ms: number): number => Math.max(ms - sinceMs, 0);
  const { unit, ms } = UNITS.find(({ msMax }) => left(etaMs) < msMax) ?? UNITS[3];
  const inUnits = (length: number): number => Math.round(left(length) / ms);
  const expected = language.relative.format(Math.max(inUnits(etaMs), 1), unit);
  const latest = etaLatestMs === undefined ? undefined : inUnits(etaLatestMs);
  return words.eta(expected, rangeText(inUnits(etaEarliestMs!), latest, language.lengths[unit]));
}

function rangeText(
  earliest: number,
  latest: number | undefined,
  length: Intl.NumberFormat,
): string | undefined {
  if (latest === undefined) {
    return `≥ ${length.format(earliest)}`;
  }
  return latest > earliest ? length.formatRange(earliest, latest) : undefined;
}
