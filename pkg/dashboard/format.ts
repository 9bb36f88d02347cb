/** Numbers as people read them: short, and of a steady width. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' });

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

/** A quantity of `unit`: `1,204 files`, `3.4 GB`. */
export function quantity(value: number, unit: string | undefined): string {
  if (unit === 'bytes') {
    return bytes(value);
  }
  return unit === undefined ? whole.format(value) : `${whole.format(value)} ${unit}`;
}

/** So much done of so much: `120 / 340 files`, `1.2 / 3.4 GB`. */
export function amount(done: number, total: number | undefined, unit: string | undefined): string {
  if (total === undefined) {
    return quantity(done, unit);
  }
  if (unit === 'bytes') {
    return `${bytes(done)} / ${bytes(total)}`;
  }
  return `${whole.format(done)} / ${quantity(total, unit)}`;
}

/** A speed: `36 files/s`, `12.4 MB/s`. */
export function speed(perSecond: number, unit: string | undefined): string {
  if (unit === 'bytes') {
    return `${bytes(perSecond)}/s`;
  }
  return `${short.format(perSecond)}${unit === undefined ? '' : ` ${unit}`}/s`;
}

function bytes(value: number): string {
  let scaled = value;
  let step = 0;
  while (scaled >= 999.5 && step < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    step += 1;
  }
  const digits = step === 0 || scaled >= 99.95 ? 0 : 1;
  return `${scaled.toFixed(digits)} ${BYTE_UNITS[step]}`;
}

/** A length of time in two units at most: `8 s`, `4 m 07 s`, `2 h 13 m`, `3 d 4 h`. */
export function span(ms: number): string {
  const seconds = Math.max(Math.round(ms / 1000), 0);
  if (seconds < 60) {
    return ms < 950 && ms > 0 ? '< 1 s' : `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} m ${String(seconds % 60).padStart(2, '0')} s`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    return `${hours} h ${String(minutes % 60).padStart(2, '0')} m`;
  }
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A share of 1 as whole percent. What is not finished never reads as 100 %. */
export function percent(progress: number): number {
  return progress >= 1 ? 100 : Math.min(Math.floor(progress * 100), 99);
}
