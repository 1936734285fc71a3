/** The question that Explore asks, as it stands in the address; and what is behind a cell of its answer. */
import type { Parameters } from './api.ts';
import type { Behind } from './explaining.ts';
import { dayAfter, daysAgo, isoDay } from './time.tsx';
import type { Url } from './url.ts';
import type { Row, StreamDeclaration } from './wire.ts';

export const buckets = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'] as const;
export type Every = (typeof buckets)[number] | 'all';

/** Whole days, so that rollups can answer; the last one is today. */
export const ranges: Record<string, { title: string; days?: number }> = {
  '1d': { title: 'Today', days: 1 },
  '7d': { title: '7 days', days: 7 },
  '30d': { title: '30 days', days: 30 },
  '90d': { title: '90 days', days: 90 },
  '365d': { title: '1 year', days: 365 },
  all: { title: 'All time' },
  own: { title: 'From, to' },
};

export interface Asked {
  measures: string[];
  by: string[];
  every: Every;
  tz: string;
  range: string;
  from: string;
  to: string;
  where: string[];
  order: string;
  known_at: string;
}

const list = (text: string): string[] => (text === '' ? [] : text.split(','));

export function askedIn(url: Url, declaration: StreamDeclaration): Asked {
  const timed = declaration.time !== undefined;
  const range = url.get('range') || (url.get('from') || url.get('to') ? 'own' : timed ? '30d' : 'all');
  const { days } = ranges[range] ?? {};
  const rollups = Object.values(declaration.rollups ?? {});
  const summed = rollups.flatMap(({ sum }) => sum ?? [])[0];
  return {
    measures: list(url.get('measures') || (summed ? `sum(${summed}),count` : 'count')),
    by: list(url.get('by')),
    every: timed ? (url.get('every') as Every) || 'day' : 'all',
    tz: url.get('tz') || (rollups.find(({ every }) => every === 'day')?.tz ?? 'UTC'),
    range,
    from: range === 'own' ? url.get('from') : days === undefined ? '' : isoDay(daysAgo(days - 1)),
    to: range === 'own' ? url.get('to') : days === undefined ? '' : isoDay(daysAgo(-1)),
    where: url.all('where'),
    order: url.get('order'),
    known_at: url.get('known_at'),
  };
}

export function parametersOf(
  { measures, by, every, tz, from, to, where, order, known_at }: Asked,
  limit: number,
): Parameters {
  const timed = every !== 'all' || from !== '' || to !== '' || known_at !== '';
  return {
    measures: measures.join(','),
    by: by.join(','),
    every: every === 'all' ? undefined : every,
    tz: timed && tz !== 'UTC' ? tz : undefined,
    from,
    to,
    where,
    order,
    known_at,
    limit,
  };
}

export function condition(field: string, value: Row[string]): string {
  return value === null ? `${field} is null` : `${field}=${String(value)}`;
}

/** The records that a row of the answer counts. */
export function behindRow(stream: string, asked: Asked, row: Row, title: string): Behind {
  const { by, every, tz, where, known_at } = asked;
  const bucket = every === 'all' ? undefined : bucketOf(every, String(row[every]));
  return {
    stream,
    title,
    where: [...where, ...by.map((field) => condition(field, row[field] ?? null))],
    from: later(asked.from, bucket?.from ?? ''),
    to: earlier(asked.to, bucket?.to ?? ''),
    tz: tz === 'UTC' ? undefined : tz,
    known_at,
  };
}

function bucketOf(every: Exclude<Every, 'all'>, start: string): { from: string; to: string } {
  if (every !== 'hour' && every !== 'minute') return { from: start, to: dayAfter(start, every) };
  const milliseconds = every === 'hour' ? 3_600_000 : 60_000;
  return {
    from: new Date(start).toISOString(),
    to: new Date(Date.parse(start) + milliseconds).toISOString(),
  };
}

function later(one: string, other: string): string {
  return one === '' || (other !== '' && Date.parse(other) > Date.parse(one)) ? other : one;
}
function earlier(one: string, other: string): string {
  return one === '' || (other !== '' && Date.parse(other) < Date.parse(one)) ? other : one;
}
