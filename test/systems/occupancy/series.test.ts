/**
 * A space over time, with the bounds of its intervals written out: days and hours of its own clock, also in the nights in
 * which that is put forward and back; and each option once.
 */
import { describe, expect, test } from 'vitest';
import { storeKinds } from '../../http/open-app.ts';
import { openOccupancy, passage } from './opened.ts';

/** A row as it is told: bounds, count at the end, entrances, exits, fewest and most. */
type Row = [start: string, end: string, count: number, into: number, out: number, min: number, max: number];

async function opened(kind: (typeof storeKinds)[number], passages: [direction: 1 | -1, at: string][]) {
  const occupancy = await openOccupancy(kind);
  await occupancy.done('POST', '/v1/spaces', { id: 'A', tz: 'Europe/Madrid', capacity: 4 });
  await occupancy.done('POST', '/v1/assignments', { id: 'x', dpu_id: 1, faces: 'A' });
  await occupancy.done(
    'POST',
    '/v1/passages',
    passages.map(([direction, at]) => passage(1, direction, at)),
  );
  const asked = (query: string) => occupancy.done('GET', `/v1/spaces/A/counts?${query}`);
  return {
    ...occupancy,
    asked,
    async rows(query: string): Promise<Row[]> {
      const { counts } = await asked(query);
      return counts.map(({ start, end, count, entrances, exits, min, max }: Record<string, unknown>) => [
        start,
        end,
        count,
        entrances,
        exits,
        min,
        max,
      ]);
    },
  };
}

describe.each(storeKinds)('a space over time, %s', (kind) => {
  test('the day on which clocks are put back has 25 hours, the ones beside it 24', async () => {
    const { rows } = await opened(kind, [
      [1, '2026-10-23T21:59:59.999999Z'],
      [1, '2026-10-23T22:00:00Z'],
      [1, '2026-10-24T21:59:59.999999Z'],
      [1, '2026-10-24T22:00:00Z'],
      [-1, '2026-10-25T22:30:00Z'],
      [1, '2026-10-25T22:59:59.999999Z'],
      [1, '2026-10-25T23:00:00Z'],
    ]);
    // biome-ignore format: one line a row
    const days: Row[] = [
      ['2026-10-24T00:00:00+02:00', '2026-10-25T00:00:00+02:00', 3, 2, 0, 2, 3],
      ['2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00', 4, 2, 1, 3, 4],
      ['2026-10-26T00:00:00+01:00', '2026-10-27T00:00:00+01:00', 5, 1, 0, 5, 5],
    ];
    expect(await rows('start_time=2026-10-24&end_time=2026-10-27&interval=1d')).toEqual(days);
    // Instants within the first and the last day touch the same days.
    expect(
      await rows('start_time=2026-10-24T12:00:00Z&end_time=2026-10-25T23:00:00.000001Z&interval=1d'),
    ).toEqual(days);
    expect(await rows('start_time=2026-10-24T22:00:00Z&end_time=2026-10-25T23:00:00Z&interval=1d')).toEqual(
      days.slice(1, 2),
    );
    expect(await rows('start_time=2026-10-25&end_time=2026-10-26&interval=1w')).toEqual([
      ['2026-10-19T00:00:00+02:00', '2026-10-26T00:00:00+01:00', 4, 5, 1, 0, 4],
    ]);
  });

  test('the day on which clocks are put forward has 23 hours', async () => {
    const { rows } = await opened(kind, [
      [1, '2026-03-28T22:59:59.999999Z'],
      [1, '2026-03-28T23:00:00Z'],
      [1, '2026-03-29T21:59:59.999999Z'],
      [1, '2026-03-29T22:00:00Z'],
    ]);
    expect(await rows('start_time=2026-03-28&end_time=2026-03-31&interval=1d')).toEqual([
      ['2026-03-28T00:00:00+01:00', '2026-03-29T00:00:00+01:00', 1, 1, 0, 0, 1],
      ['2026-03-29T00:00:00+01:00', '2026-03-30T00:00:00+02:00', 3, 2, 0, 2, 3],
      ['2026-03-30T00:00:00+02:00', '2026-03-31T00:00:00+02:00', 4, 1, 0, 4, 4],
    ]);
    // 02:00 is not there: after 01:00 comes 03:00.
    expect(await rows('start_time=2026-03-29T00:30:00Z&end_time=2026-03-29T01:30:00Z&interval=1h')).toEqual([
      ['2026-03-29T01:00:00+01:00', '2026-03-29T03:00:00+02:00', 2, 0, 0, 2, 2],
      ['2026-03-29T03:00:00+02:00', '2026-03-29T04:00:00+02:00', 2, 0, 0, 2, 2],
    ]);
  });

  test('an hour that comes twice is two hours', async () => {
    const { rows } = await opened(kind, [
      [1, '2026-10-25T00:15:00Z'],
      [1, '2026-10-25T00:59:59.999999Z'],
      [-1, '2026-10-25T01:00:00Z'],
      [1, '2026-10-25T01:15:00Z'],
    ]);
    expect(await rows('start_time=2026-10-25T00:00:00Z&end_time=2026-10-25T02:30:00Z&interval=1h')).toEqual([
      ['2026-10-25T02:00:00+02:00', '2026-10-25T02:00:00+01:00', 2, 2, 0, 0, 2],
      ['2026-10-25T02:00:00+01:00', '2026-10-25T03:00:00+01:00', 2, 1, 1, 1, 2],
      ['2026-10-25T03:00:00+01:00', '2026-10-25T04:00:00+01:00', 2, 0, 0, 2, 2],
    ]);
  });

  // biome-ignore format: one line a case
  test.each<[interval: string, first: Row, more: number]>([
    ['1m', ['2026-10-05T10:07:00+02:00', '2026-10-05T10:08:00+02:00', 1, 1, 0, 0, 1], 10],
    ['5m', ['2026-10-05T10:05:00+02:00', '2026-10-05T10:10:00+02:00', 0, 1, 1, 0, 1], 2],
    ['15m', ['2026-10-05T10:00:00+02:00', '2026-10-05T10:15:00+02:00', 2, 3, 1, 0, 2], 1],
    ['1h', ['2026-10-05T10:00:00+02:00', '2026-10-05T11:00:00+02:00', 2, 3, 1, 0, 2], 0],
    ['1d', ['2026-10-05T00:00:00+02:00', '2026-10-06T00:00:00+02:00', 2, 3, 1, 0, 2], 0],
    ['1w', ['2026-10-05T00:00:00+02:00', '2026-10-12T00:00:00+02:00', 2, 3, 1, 0, 2], 0],
  ])('intervals of %s are cut by the clock, and whole', async (interval, first, more) => {
    const { rows } = await opened(kind, [
      [1, '2026-10-05T08:07:30Z'],
      [-1, '2026-10-05T08:09:00Z'],
      [1, '2026-10-05T08:12:00Z'],
      [1, '2026-10-05T08:14:59Z'],
    ]);
    const found = await rows(
      `start_time=${encodeURIComponent('2026-10-05T10:07:10+02:00')}&end_time=2026-10-05T08:17:10Z&interval=${interval}`,
    );
    expect([found[0], found.length]).toEqual([first, more + 1]);
  });

  test('as if never reset, as 0 where it is less, and as it was known', async () => {
    const { asked, rows, done, tallybook } = await opened(kind, [
      [-1, '2026-10-05T08:10:00Z'],
      [-1, '2026-10-05T08:20:00Z'],
      [1, '2026-10-05T08:40:00Z'],
    ]);
    const query = 'start_time=2026-10-05T08:00:00Z&end_time=2026-10-05T09:00:00Z&interval=1h';
    const hour = ['2026-10-05T10:00:00+02:00', '2026-10-05T11:00:00+02:00'] as const;
    await done('POST', '/v1/spaces/A/resets', { ts: '2026-10-05T07:00:00Z', count: 0 });
    const known = (await tallybook.ask('resets', {})).as_of.recorded_at;
    // The next commit must not be recorded at the same microsecond.
    await new Promise((resolve) => setTimeout(resolve, 2));
    await done('POST', '/v1/spaces/A/resets', { ts: '2026-10-05T08:30:00Z', count: 2 });
    await done('POST', '/v1/passages', passage(1, 1, '2026-10-05T08:50:00Z'));
    expect(await rows(query)).toEqual([[...hour, 4, 2, 2, -2, 4]]);
    expect(await rows(`${query}&negative=raw`)).toEqual([[...hour, 4, 2, 2, -2, 4]]);
    expect(await rows(`${query}&negative=clamp`)).toEqual([[...hour, 4, 2, 2, 0, 4]]);
    expect(await rows(`${query}&calibrated=false`)).toEqual([[...hour, 0, 2, 2, -2, 0]]);
    const before = `${query}&known_at=${encodeURIComponent(known)}`;
    expect(await rows(before)).toEqual([[...hour, -1, 1, 2, -2, 0]]);
    expect((await asked(before)).counts[0].utilisation).toBe(-0.25);
    // The part of the capacity is that of the count that is shown.
    expect((await asked(`${before}&negative=clamp`)).counts[0]).toMatchObject({
      count: 0,
      min: 0,
      max: 0,
      utilisation: 0,
    });
    expect(await asked(query)).toMatchObject({
      space_id: 'A',
      interval: '1h',
      tz: 'Europe/Madrid',
      capacity: 4,
      counts: [{ utilisation: 1 }],
    });
  });
});
