/** Chapter: buckets of time zones. A day of a zone is a true day there, 23 or 25 hours long when the clocks change. */
import { describe, expect } from 'vitest';
import type { AskedQuestion } from '../../src/engine/question.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { onFreshStore, rule, type StoreUnderTest, type Trial } from './harness.ts';

export function bucketsChapter(under: StoreUnderTest): void {
  describe('buckets', () => {
    rule(under, 'days are those of the time zone, daylight saving included', () =>
      onFreshStore(under, [passages], timeZones),
    );
  });
}

const passages = defineStream('passages', {
  id: 'id',
  time: 'at',
  fields: { id: { type: 'text', required: true }, at: { type: 'timestamp', required: true } },
  rollups: {
    madrid_days: { every: 'day', tz: 'Europe/Madrid' },
    madrid_hours: { every: 'hour', tz: 'Europe/Madrid' },
    lord_howe: { every: 'hour', tz: 'Australia/Lord_Howe' },
  },
});

async function timeZones(trial: Trial): Promise<void> {
  // A passage every half hour over both changes of the clock in Madrid.
  const from = (start: string, halfHours: number) =>
    Array.from({ length: halfHours }, (_, n) => new Date(Date.parse(start) + n * 1_800_000).toISOString());
  const times = [...from('2026-03-28T12:00:00Z', 96), ...from('2026-10-24T12:00:00Z', 96)];
  await trial.insert(passages, ...times.map((at) => ({ id: at, at })));
  const ask = async (asked: AskedQuestion) => {
    const [planned, counted] = [await trial.ask(passages, asked), await trial.ask(passages, asked, 'ledger')];
    expect(counted.rows).toEqual(planned.rows);
    return planned;
  };
  const tz = 'Europe/Madrid';
  const days = await ask({ every: 'day', tz });
  expect(days.from).toBe('rollup madrid_days');
  expect(days.rows).toEqual([
    ['2026-03-28', 22],
    ['2026-03-29', 46],
    ['2026-03-30', 28],
    ['2026-10-24', 20],
    ['2026-10-25', 50],
    ['2026-10-26', 26],
  ]);
  expect((await ask({ every: 'month', tz })).rows).toEqual([
    ['2026-03-01', 96],
    ['2026-10-01', 96],
  ]);
  expect((await ask({ every: 'day', tz, from: '2026-10-25', to: '2026-10-26' })).rows).toEqual([
    ['2026-10-25', 50],
  ]);
  // The hour that happens twice is two buckets, the one that does not is none.
  const back = await ask({ every: 'hour', tz, from: '2026-10-24T23:00:00Z', to: '2026-10-25T03:00:00Z' });
  expect(back.rows).toEqual([
    ['2026-10-25T01:00:00+02:00', 2],
    ['2026-10-25T02:00:00+02:00', 2],
    ['2026-10-25T02:00:00+01:00', 2],
    ['2026-10-25T03:00:00+01:00', 2],
  ]);
  const forth = await ask({
    every: 'hour',
    tz,
    from: '2026-03-29T00:00:00Z',
    to: '2026-03-29T02:00:00Z',
    order: ['-hour'],
  });
  expect(forth.rows).toEqual([
    ['2026-03-29T03:00:00+02:00', 2],
    ['2026-03-29T01:00:00+01:00', 2],
  ]);
  expect((await ask({ every: 'day', tz: 'Asia/Kathmandu', to: '2026-03-29T00:00:00Z' })).rows).toEqual([
    ['2026-03-28', 13],
    ['2026-03-29', 11],
  ]);
  expect((await ask({ every: 'hour', tz: 'Asia/Kathmandu', to: '2026-03-28T13:30:00Z' })).rows).toEqual([
    ['2026-03-28T17:00:00+05:45', 1],
    ['2026-03-28T18:00:00+05:45', 2],
  ]);
  // Where the clock moves by half an hour.
  for (const every of ['hour', 'day', 'week'] as const) await ask({ every, tz: 'Australia/Lord_Howe' });
}
