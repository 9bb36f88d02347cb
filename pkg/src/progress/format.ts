/** Numbers as people read them, in their language: short, and of a steady width. */

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const;

/** Formats quantities, speeds and durations in one language. */
export interface Formats {
  /** A quantity of `unit`: `1,204 files`, `3.4 GB`. */
  quantity(value: number, unit: string | undefined): string;
  /** An amount done, of a total: `120 / 340 files`, `1.2 GB / 3.4 GB`. */
  amount(done: number, total: number | undefined, unit: string | undefined): string;
  /** A speed: `36 files/s`, `12.4 MB/s`. */
  speed(perSecond: number, unit: string | undefined): string;
  /** A duration in at most two units: `8s`, `4m 07s`, `2h 13m`, `3d 04h`. */
  span(ms: number): string;
  /** A share of 1 in percent: `37%`. Never 100 % before all is done. */
  percent(progress: number): string;
}

const cache = new Map<string, Formats>();

/**
 * The formats of a language, such as `en` or `pt-BR`. Without one, or with a text that is not a language, those of the
 * platform.
 */
export function formats(language = ''): Formats {
  let found = cache.get(language);
  if (found === undefined) {
    found = make(supportedLanguage(language));
    cache.set(language, found);
  }
  return found;
}

/** Makes up for rounding: 0.29 × 100 is a little less than 29. */
const ROUNDING = 1e-9;

/** A share of 1 in whole percent. Never 100 before all is done. */
export function percent(progress: number): number {
  return progress >= 1 ? 100 : Math.min(Math.floor(progress * 100 + ROUNDING), 99);
}

/**
 * The language, if the platform supports it; otherwise `undefined`, which stands for the platform's own.
 *
 * @internal
 */
export function supportedLanguage(language: string): string | undefined {
  try {
    return Intl.NumberFormat.supportedLocalesOf(language)[0];
  } catch {
    return undefined;
  }
}

function make(language: string | undefined): Formats {
  const number = (options: Intl.NumberFormatOptions): Intl.NumberFormat =>
    new Intl.NumberFormat(language, options);
  const whole = number({ maximumFractionDigits: 0 });
  const short = number({ maximumSignificantDigits: 3, notation: 'compact' });
  const share = number({ style: 'percent', maximumFractionDigits: 0 });
  const bytes = byteFormat(number);
  const quantity: Formats['quantity'] = (value, unit) => {
    if (unit === 'bytes') {
      return bytes(value);
    }
    return unit === undefined ? whole.format(value) : `${whole.format(value)} ${unit}`;
  };
  return {
    quantity,
    amount: (done, total, unit) => {
      if (total === undefined) {
        return quantity(done, unit);
      }
      return `${unit === 'bytes' ? bytes(done) : whole.format(done)} / ${quantity(total, unit)}`;
    },
    speed: (perSecond, unit) => {
      if (unit === 'bytes') {
        return `${bytes(perSecond)}/s`;
      }
      return `${short.format(perSecond)}${unit === undefined ? '' : ` ${unit}`}/s`;
    },
    span: spanFormat(number),
    percent: (progress) => share.format(percent(progress) / 100),
  };
}

type NumberFormatter = (options: Intl.NumberFormatOptions) => Intl.NumberFormat;

function byteFormat(number: NumberFormatter): (value: number) => string {
  const inUnits = BYTE_UNITS.map((unit, step) =>
    [step === 0 ? 0 : 1, 0].map((digits) =>
      number({
        style: 'unit',
        unit,
        unitDisplay: 'short',
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      }),
    ),
  );
  return (value) => {
    let scaled = value;
    let step = 0;
    while (scaled >= 999.5 && step < BYTE_UNITS.length - 1) {
      scaled /= 1000;
      step += 1;
    }
    return inUnits[step]![scaled >= 99.95 ? 1 : 0]!.format(scaled);
  };
}

function spanFormat(number: NumberFormatter): (ms: number) => string {
  const inUnit = (unit: string, digits: number): Intl.NumberFormat =>
    number({ style: 'unit', unit, unitDisplay: 'narrow', minimumIntegerDigits: digits });
  const days = inUnit('day', 1);
  const [hours, hours2] = [inUnit('hour', 1), inUnit('hour', 2)];
  const [minutes, minutes2] = [inUnit('minute', 1), inUnit('minute', 2)];
  const [seconds, seconds2] = [inUnit('second', 1), inUnit('second', 2)];
  return (ms) => {
    const s = Math.max(Math.round(ms / 1000), 0);
    if (s < 60) {
      return ms < 950 && ms > 0 ? `<${seconds.format(1)}` : seconds.format(s);
    }
    const m = Math.floor(s / 60);
    if (m < 60) {
      return `${minutes.format(m)} ${seconds2.format(s % 60)}`;
    }
    const h = Math.floor(m / 60);
    if (h < 48) {
      return `${hours.format(h)} ${minutes2.format(m % 60)}`;
    }
    return `${days.format(Math.floor(h / 24))} ${hours2.format(h % 24)}`;
  };
}
