/** Times in the viewer's zone, with the exact one in UTC on hover; days as they are. */
import type { ReactElement } from 'react';

export const viewerZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const plainDay = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  timeZone: 'UTC',
});

/** `2026-11-22T00:33:52.872000Z` is `22 Nov 2026 01:33:52` in Madrid. */
export function Time({ at, only }: { at: string; only?: 'clock' | 'day' }): ReactElement {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <>{at}</>;
  const text =
    only === 'clock'
      ? clock.format(date)
      : only === 'day'
        ? day.format(date)
        : `${day.format(date)} ${clock.format(date)}`;
  return (
    <time
      dateTime={at}
      title={`${at
        .replace('T', ' ')
        .replace(/(\.\d*?)0*Z$/, '$1')
        .replace(/\.$/, '')
        .replace(/Z$/, '')} UTC`}
    >
      {text}
    </time>
  );
}

/** A calendar day, `2026-11-22`, which has no zone. */
export function dayText(date: string): string {
  const time = Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(time) ? date : plainDay.format(time);
}

export function DayOf({ date }: { date: string }): ReactElement {
  return <time dateTime={date}>{dayText(date)}</time>;
}

/** A day as it stands in addresses and inputs, in the viewer's zone. */
export function isoDay(date: Date): string {
  return `${String(date.getFullYear()).padStart(4, '0')}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
}

export function daysAgo(days: number): Date {
  const date = new Date();
  date.setDate(date.getDate() - days);
  return date;
}

/** The first day after a bucket that starts on `date`. */
export function dayAfter(date: string, every: 'day' | 'week' | 'month' | 'quarter' | 'year'): string {
  const start = new Date(`${date}T00:00:00Z`);
  if (every === 'day') start.setUTCDate(start.getUTCDate() + 1);
  else if (every === 'week') start.setUTCDate(start.getUTCDate() + 7);
  else if (every === 'year') start.setUTCFullYear(start.getUTCFullYear() + 1);
  else start.setUTCMonth(start.getUTCMonth() + (every === 'month' ? 1 : 3));
  return start.toISOString().slice(0, 10);
}
