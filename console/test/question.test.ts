import { expect, test } from 'vitest';
import { type Asked, behindRow } from '../src/question.ts';

const asked = (more: Partial<Asked>): Asked => ({
  measures: ['count'],
  by: [],
  every: 'all',
  tz: 'UTC',
  range: 'own',
  from: '',
  to: '',
  where: [],
  order: '',
  known_at: '',
  ...more,
});

test('behind a row are the records of its dimensions, in its bucket, within the question', () => {
  const of = (question: Partial<Asked>, row: Record<string, string | null>) => {
    const { where, from, to, tz } = behindRow('usage', asked(question), row, '');
    return { where, from, to, tz };
  };
  expect(
    of({ every: 'month', by: ['type'], where: ['price>1'] }, { month: '2026-10-01', type: 'data' }),
  ).toEqual({
    where: ['price>1', 'type=data'],
    from: '2026-10-01',
    to: '2026-11-01',
    tz: undefined,
  });
  // A bucket that the question cuts at both ends.
  expect(
    of({ every: 'quarter', from: '2026-10-15', to: '2026-11-15' }, { quarter: '2026-10-01' }),
  ).toMatchObject({ from: '2026-10-15', to: '2026-11-15' });
  expect(of({ every: 'week', tz: 'Europe/Madrid' }, { week: '2026-12-28' })).toMatchObject({
    from: '2026-12-28',
    to: '2027-01-04',
    tz: 'Europe/Madrid',
  });
  expect(of({ every: 'year' }, { year: '2026-01-01' })).toMatchObject({
    from: '2026-01-01',
    to: '2027-01-01',
  });
  // The hour that the clock shows twice is two buckets; each is an hour of its own.
  expect(of({ every: 'hour', tz: 'Europe/Madrid' }, { hour: '2026-10-25T02:00:00+01:00' })).toMatchObject({
    from: '2026-10-25T01:00:00.000Z',
    to: '2026-10-25T02:00:00.000Z',
  });
  expect(of({ by: ['plan'] }, { plan: null })).toMatchObject({ where: ['plan is null'], from: '', to: '' });
});
