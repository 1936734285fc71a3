/**
 * Numbers as people read them, with every digit they have. A decimal or a 64-bit integer is text from the ledger to the
 * screen: its digits are grouped as text, in the language of the page.
 */
const plainNumber = /^(-?)(\d+)(?:\.(\d+))?$/;

/** `1234567.5` is `1,234,567.5`; with a scale of 2 `1,234,567.50`. What is no plain number stays as it is. */
export function exact(value: string | number | bigint, scale = 0): string {
  const text = String(value);
  const [, sign, whole, fraction = ''] = plainNumber.exec(text) ?? [];
  if (whole === undefined) return text;
  const padded = fraction.padEnd(scale, '0');
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ',') + (padded === '' ? '' : `.${padded}`);
}

/** For the pixels of a chart, and for nothing that is read. */
export function pixels(value: unknown): number {
  return typeof value === 'string' || typeof value === 'number' ? Number(value) : 0;
}

const rough = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
/** For the axis of a chart: `1.2K`. */
export const axis = (value: number): string => rough.format(value);

const units = ['B', 'kB', 'MB', 'GB', 'TB'];
export function bytes(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A rate or a duration: as many digits as mean something. */
export function about(value: number): string {
  return exact(value >= 100 ? Math.round(value) : Number(value.toPrecision(2)));
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${about(seconds * 1000)} ms`;
  if (seconds < 60) return `${about(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${exact(count)} ${count === 1 ? one : many}`;
