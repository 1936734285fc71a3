/**
 * Time as Tallybook keeps it: microseconds since 1970 in UTC, as a bigint; and the calendar of time zones.
 *
 * A bucket of a question (an hour, a day, a month …) is true to its time zone: a day in Madrid is 23 hours
 * long when the clocks go forward and 25 when they go back; the hour that happens twice is two buckets.
 * The rules of zones are those of the ICU data that Node carries, by way of `Intl`.
 */
export type Micros = bigint;
export const everyNames = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'all'] as const;
export type Every = (typeof everyNames)[number];

const second = 1_000_000n;
const minute = 60n * second;
const hour = 60n * minute;
const day = 24n * hour;

const year = '([0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})';
const monthAndDay = '(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])';
/** Grammar of a date, in the common subset of JavaScript's and RE2's regular expressions. */
export const dateGrammar = `${year}-${monthAndDay}`;
/** Grammar of a timestamp: a T or a space, seconds optional, up to six digits of a second, Z or an offset. */
export const timestampGrammar =
  `${dateGrammar}[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6}0*)?)?` +
  '(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?';

const datePattern = new RegExp(`^${dateGrammar}$`);
const timestampPattern = new RegExp(`^${timestampGrammar}$`);

/** First and last instant that can be kept: years 1 to 9999. */
export const firstInstant: Micros = -62_135_596_800_000_000n;
export const lastInstant: Micros = 253_402_300_799_999_999n;

/** Days since 1970 of a date's text, or undefined when there is no such date. */
export function parseDate(text: string): number | undefined {
  return datePattern.test(text) ? daysOf(text) : undefined;
}

/** Of the date at the start of a text that fits the grammar. */
function daysOf(text: string): number | undefined {
  const [y, m, d] = [Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8, 10))];
  const date = new Date(0);
  date.setUTCFullYear(y, m - 1, d);
  return date.getUTCMonth() === m - 1 && date.getUTCDate() === d ? date.getTime() / 86_400_000 : undefined;
}

/** Microseconds of a timestamp's text; with no offset it is UTC. Undefined when it is none or out of range. */
export function parseTimestamp(text: string): Micros | undefined {
  if (!timestampPattern.test(text)) return undefined;
  const days = daysOf(text);
  if (days === undefined) return undefined;
  let seconds = days * 86_400 + Number(text.slice(11, 13)) * 3_600 + Number(text.slice(14, 16)) * 60;
  let fraction = '';
  let rest = 16;
  if (text[rest] === ':') {
    seconds += Number(text.slice(17, 19));
    rest = 19;
    if (text[rest] === '.') {
      while (rest + 1 < text.length && isDigit(text, rest + 1)) rest++;
      fraction = text.slice(20, ++rest);
    }
  }
  if (rest < text.length && text[rest] !== 'Z') {
    const minutes = text.length > rest + 3 ? Number(text.slice(-2)) : 0;
    const shift = Number(text.slice(rest + 1, rest + 3)) * 3_600 + minutes * 60;
    seconds += text[rest] === '+' ? -shift : shift;
  }
  const micros = BigInt(seconds) * second + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
  return micros >= firstInstant && micros <= lastInstant ? micros : undefined;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

/** The one way in which Tallybook writes the instant of a timestamp's text; undefined when it is none. */
export function canonicalTimestamp(text: string): string | undefined {
  const micros = parseTimestamp(text);
  if (micros === undefined) return undefined;
  // With seconds and without an offset, its digits stay: that takes a quarter of the time.
  if (text[16] !== ':' || /[+-]/.test(text.slice(19))) return formatTimestamp(micros);
  const end = text.endsWith('Z') ? text.length - 1 : text.length;
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, Math.min(end, 26)).padEnd(6, '0')}Z`;
}

/** `2026-10-05T06:43:00.000000Z`: always UTC, always six digits. */
export function formatTimestamp(micros: Micros): string {
  const millis = Number((micros - mod(micros, 1000n)) / 1000n);
  return `${new Date(millis).toISOString().slice(0, 23)}${String(mod(micros, 1000n)).padStart(3, '0')}Z`;
}

/** `2026-10-05` of days since 1970. */
export function formatDate(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}

function mod(a: bigint, b: bigint): bigint {
  const r = a % b;
  return r < 0n ? r + b : r;
}

/** Names that are known to be zones: to ask takes 0.3 ms. */
const zones = new Set<string>();

/** Whether the machine's time zone data knows the name. */
export function isTimeZone(name: string): boolean {
  if (zones.has(name)) return true;
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    zones.add(name);
    return true;
  } catch {
    return false;
  }
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** How far local time is ahead of UTC at an instant, in microseconds. */
export function offsetAt(zone: string, micros: Micros): Micros {
  if (zone === 'UTC') return 0n;
  let formatter = formatters.get(zone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formatters.set(zone, formatter);
  }
  const wholeSeconds = (micros - mod(micros, second)) / second;
  const parts: Record<string, string> = {};
  for (const part of formatter.formatToParts(new Date(Number(wholeSeconds) * 1000)))
    parts[part.type] = part.value;
  const local = new Date(0);
  const y = parts['era']?.startsWith('B') ? 1 - Number(parts['year']) : Number(parts['year']);
  local.setUTCFullYear(y, Number(parts['month']) - 1, Number(parts['day']));
  local.setUTCHours(Number(parts['hour']), Number(parts['minute']), Number(parts['second']));
  return BigInt(local.getTime() / 1000) * second - wholeSeconds * second;
}

/** The instant at which a local time (microseconds as if it were UTC) occurs; the earlier one when it occurs twice. */
export function instantOfLocal(zone: string, local: Micros): Micros {
  if (zone === 'UTC') return local;
  const before = offsetAt(zone, local - day);
  const after = offsetAt(zone, local + day);
  const candidates = before === after ? [local - before] : [local - before, local - after];
  const fitting = candidates.filter((instant) => instant + offsetAt(zone, instant) === local);
  if (fitting.length > 0) return fitting.reduce((a, b) => (a < b ? a : b));
  return local - before; // a local time that the clock jumps over: the instant just after the jump, as ICU has it
}

/** Local midnight (as if it were UTC) that starts the bucket of a local time. Minutes and hours are not local: see bucketStart. */
function localBucketStart(local: Micros, every: Every): Micros {
  const midnight = local - mod(local, day);
  if (every === 'day') return midnight;
  if (every === 'week') return midnight - mod(midnight / day + 3n, 7n) * day; // 1970-01-01 was a Thursday; weeks start on Monday
  const date = new Date(Number(midnight / 1000n));
  const y = date.getUTCFullYear();
  const m =
    every === 'year'
      ? 0
      : every === 'quarter'
        ? date.getUTCMonth() - (date.getUTCMonth() % 3)
        : date.getUTCMonth();
  const start = new Date(0);
  start.setUTCFullYear(y, m, 1);
  return BigInt(start.getTime()) * 1000n;
}

/** The instant at which the bucket that holds an instant starts, in a time zone. `all` has one bucket, at 0. */
export function bucketStart(micros: Micros, every: Every, zone: string): Micros {
  if (every === 'all') return 0n;
  const local = micros + offsetAt(zone, micros);
  // An hour is cut where the local clock shows a full hour, and stays a true hour when a clock hour happens twice.
  if (every === 'minute' || every === 'hour') return micros - mod(local, every === 'hour' ? hour : minute);
  return instantOfLocal(zone, localBucketStart(local, every));
}

/** The start of the bucket after the one that starts at `start`. */
export function nextBucket(start: Micros, every: Exclude<Every, 'all'>, zone: string): Micros {
  if (every === 'minute') return start + minute;
  if (every === 'hour')
    return bucketStart(start + hour, 'hour', zone) === start
      ? start + 2n * hour
      : bucketStart(start + hour, 'hour', zone);
  const days = { day: 1n, week: 7n, month: 31n, quarter: 92n, year: 366n }[every];
  // Half a day in: far enough from both ends to land in the next bucket whatever the clocks do.
  const local = start + offsetAt(zone, start) + hour * 12n;
  const landed = localBucketStart(local + days * day, every);
  return instantOfLocal(zone, landed);
}

/**
 * How a bucket is written in an answer. Days and longer: the date on which they start, `2026-10-05`.
 * Hours and minutes: the instant, in UTC with Z, else with the zone's offset, `2026-10-25T02:00:00+02:00`.
 */
export function formatBucket(start: Micros, every: Every, zone: string): string {
  const offset = offsetAt(zone, start);
  const local = formatTimestamp(start + offset);
  if (every !== 'hour' && every !== 'minute') return local.slice(0, 10);
  if (zone === 'UTC') return `${local.slice(0, 19)}Z`;
  const total = offset < 0n ? -offset : offset;
  const hh = String(total / hour).padStart(2, '0');
  const mm = String((total % hour) / minute).padStart(2, '0');
  return `${local.slice(0, 19)}${offset < 0n ? '-' : '+'}${hh}:${mm}`;
}

const durationPattern = /^([1-9][0-9]{0,5}) (second|minute|hour|day|week)s?$/;

/** Microseconds of a length of time such as `90 days`, or undefined when it is none. */
export function parseDuration(text: string): Micros | undefined {
  const match = durationPattern.exec(text);
  if (!match) return undefined;
  const unit = { second, minute, hour, day, week: 7n * day }[match[2] as 'second'];
  return BigInt(match[1]!) * unit;
}

export function nowMicros(): Micros {
  return BigInt(Date.now()) * 1000n;
}
