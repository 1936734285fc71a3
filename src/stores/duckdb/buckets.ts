/** Buckets of time zones in SQL: the twin of `bucketStart` in engine/calendar.ts. */
import type { Every } from '../../engine/calendar.ts';
import { literal } from './names.ts';

/** The local time of an instant (both as timestamps without zone; the instant in UTC). */
function localTime(instant: string, zone: string): string {
  return zone === 'UTC'
    ? `${instant}::timestamp`
    : `timezone(${literal(zone)}, ${instant}::timestamp at time zone 'UTC')`;
}

/** A date (days and longer, on which the bucket starts there) or an instant (hours and minutes). */
export function bucketExpression(instant: string, every: Every, zone: string): string {
  const local = localTime(instant, zone);
  if (every === 'hour' || every === 'minute') {
    // Hours are cut by the local clock, but stay true hours when the clock shows one twice.
    return zone === 'UTC'
      ? `date_trunc('${every}', ${instant}::timestamp)`
      : `(${instant}::timestamp - (${local} - date_trunc('${every}', ${local})))`;
  }
  return every === 'day' ? `cast(${local} as date)` : `cast(date_trunc('${every}', ${local}) as date)`;
}

/** The bucket of a question from the bucket of a rollup that nests in it. */
export function coarserBucket(bucket: string, from: Every, to: Every, zone: string): string {
  if (from === to) return bucket;
  if (from === 'hour' || from === 'minute') return bucketExpression(bucket, to, zone);
  return `cast(date_trunc('${to}', ${bucket}) as date)`;
}

/** A bucket as it is read: microseconds of hours and minutes, else the text of its date. */
export function bucketOutput(bucket: string, every: Every): string {
  return every === 'hour' || every === 'minute' ? `epoch_us(${bucket})` : `cast(${bucket} as varchar)`;
}
