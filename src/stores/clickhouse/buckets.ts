/**
 * Buckets of time zones in SQL: the twin of `bucketStart` in engine/calendar.ts. All of it is arithmetic on whole
 * numbers, because ClickHouse's own calendar ends in 2299; and the rules of zones are handed over as offsets, because
 * two versions of them in one system would be one too many.
 */
import { type Every, type Micros, offsetAt } from '../../engine/calendar.ts';

const dayMicros = 86_400_000_000n;
/** Days from 0000-03-01 to 1970-01-01: so that all numbers are positive, and a leap day ends its year. */
const daysBefore = 719_468;

/** The instants at which a zone's offset changes, within bounds, each with the offset from then on; the first bound first. */
export function offsetsOf(zone: string, from: Micros, to: Micros): { instant: Micros; offset: Micros }[] {
  const offsets = [{ instant: from, offset: offsetAt(zone, from) }];
  const step = 7n * dayMicros;
  for (let at = from; at < to; at += step) {
    const last = offsets.at(-1)!.offset;
    const end = at + step < to ? at + step : to;
    const offset = offsetAt(zone, end);
    if (offset !== last) offsets.push({ instant: changeBetween(zone, at, end), offset });
  }
  return offsets;
}

function changeBetween(zone: string, from: Micros, to: Micros): Micros {
  const before = offsetAt(zone, from);
  let [low, high] = [from / 1_000_000n, to / 1_000_000n];
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (offsetAt(zone, middle * 1_000_000n) === before) low = middle;
    else high = middle;
  }
  return high * 1_000_000n;
}

/**
 * The local date on which a bucket starts, in days since 1970; for hours and minutes the instant.
 * @param bounds instants between which all values lie
 */
export function bucketExpression(
  instant: string,
  every: Every,
  zone: string,
  bounds: { from: Micros; to: Micros },
): string {
  const local = zone === 'UTC' ? instant : `(${instant} + ${offsetExpression(instant, zone, bounds)})`;
  if (every === 'hour' || every === 'minute') {
    // Hours are cut by the local clock, but stay true hours when the clock shows one twice.
    return `(${instant} - positiveModulo(${local}, ${every === 'hour' ? 3_600_000_000 : 60_000_000}))`;
  }
  const days = `intDiv(${local} + ${BigInt(daysBefore) * dayMicros}, ${dayMicros})`;
  return dateOfDays(days, every);
}

function offsetExpression(instant: string, zone: string, { from, to }: { from: Micros; to: Micros }): string {
  const offsets = offsetsOf(zone, from, to);
  if (offsets.length === 1) return String(offsets[0]!.offset);
  const instants = `[${offsets.map((one) => one.instant).join(', ')}]::Array(Int64)`;
  const values = `[${offsets.map((one) => one.offset).join(', ')}]::Array(Int64)`;
  return `transform(roundDown(${instant}, ${instants}), ${instants}, ${values}, toInt64(0))`;
}

/** From days since 0000-03-01 to the start of the bucket, in days since 1970. */
function dateOfDays(days: string, every: Every): string {
  if (every === 'day') return `(${days} - ${daysBefore})`;
  // 0000-03-01 was a Wednesday; weeks start on Monday.
  if (every === 'week') return `(${days} - (${days} + 2) % 7 - ${daysBefore})`;
  const ofEra = `(${days} % 146097)`;
  const yearOfEra = `intDiv(${ofEra} - intDiv(${ofEra}, 1460) + intDiv(${ofEra}, 36524) - intDiv(${ofEra}, 146096), 365)`;
  const dayOfYear = `(${ofEra} - (365 * ${yearOfEra} + intDiv(${yearOfEra}, 4) - intDiv(${yearOfEra}, 100)))`;
  // Months are counted from March.
  const month = `intDiv(5 * ${dayOfYear} + 2, 153)`;
  const monthStart = (shifted: string) => `intDiv(153 * ${shifted} + 2, 5)`;
  if (every === 'month') return `(${days} - ${dayOfYear} + ${monthStart(month)} - ${daysBefore})`;
  const year = `(intDiv(${days}, 146097) * 400 + ${yearOfEra} - (${month} < 10 and ${every === 'year' ? 'true' : `${month} = 0`}))`;
  // The quarters start in April, July and October; in January, the tenth month of the year before, and so does March.
  const first = every === 'year' ? '10' : `if(${month} = 0, 10, ${month} - (${month} + 2) % 3)`;
  return `(365 * ${year} + intDiv(${year}, 4) - intDiv(${year}, 100) + intDiv(${year}, 400) + ${monthStart(`(${first})`)} - ${daysBefore})`;
}

/** The bucket of a question from the bucket of a rollup that nests in it. */
export function coarserBucket(
  bucket: string,
  from: Every,
  to: Every,
  zone: string,
  bounds: { from: Micros; to: Micros },
): string {
  if (from === to) return bucket;
  if (from === 'hour' || from === 'minute') return bucketExpression(bucket, to, zone, bounds);
  return dateOfDays(`(${bucket} + ${daysBefore})`, to);
}
