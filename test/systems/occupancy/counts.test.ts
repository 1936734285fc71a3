/**
 * Counts as a table: what was sent, and how many people are where at which time. Sensor 1 hangs between the outside and
 * A, sensor 2 between A and B (it faces A), unless a case says otherwise. Each line is run on a fresh ledger.
 */
import { describe, expect, test } from 'vitest';
import { storeKinds } from '../../http/open-app.ts';
import { openOccupancy, passage } from './opened.ts';

type Request = [method: string, url: string, body?: unknown];
/** At 10:00 of the day, in microseconds where it matters. */
const at = (time: string): string => `2026-10-05T${time}Z`;

const spaces: Request = [
  'POST',
  '/v1/spaces',
  [
    { id: 'A', tz: 'Europe/Madrid', capacity: 10 },
    { id: 'B', tz: 'Europe/Madrid' },
    { id: 'C', tz: 'Europe/Madrid' },
  ],
];
const hung = (
  id: string,
  dpu_id: number,
  faces: string | null,
  behind: string | null,
  more: object = {},
) => ({
  id,
  dpu_id,
  doorway_id: `door-${id}`,
  faces,
  behind,
  ...more,
});
const assignments: Request = ['POST', '/v1/assignments', [hung('x', 1, 'A', null), hung('z', 2, 'A', 'B')]];
const plan = [spaces, assignments];
const pass = (...sent: [dpu: number, direction: number, time: string][]): Request => [
  'POST',
  '/v1/passages',
  sent.map(([dpu, direction, time]) => passage(dpu, direction, time.includes('T') ? time : at(time))),
];
const reset = (space: string, time: string, count: number): Request => [
  'POST',
  `/v1/spaces/${space}/resets`,
  { ts: time.includes('T') ? time : at(time), count, reason: 'counted by hand' },
];
const three = pass([1, 1, '10:00:00'], [1, 1, '11:00:00'], [2, -1, '12:00:00']);

interface Case {
  title: string;
  requests: Request[];
  /** Space, time (and what else is asked), count. */
  counts: [space: string, time: string, count: number][];
}

const cases: Case[] = [
  { title: 'nothing has happened', requests: plan, counts: [['A', '10:00:00', 0]] },
  {
    title: 'a doorway to the outside, and one between two spaces',
    requests: [...plan, three],
    counts: [
      ['A', '09:59:59.999999', 0],
      ['A', '10:00:00', 1],
      ['A', '10:00:00.000001', 1],
      ['A', '11:30:00', 2],
      ['A', '12:00:00', 1],
      ['B', '11:59:59.999999', 0],
      ['B', '12:00:00', 1],
      ['C', '12:00:00', 0],
    ],
  },
  {
    title: 'a passage and a question at the same microsecond: it is counted',
    requests: [...plan, pass([1, 1, '10:00:00.123456'])],
    counts: [
      ['A', '10:00:00.123455', 0],
      ['A', '10:00:00.123456', 1],
    ],
  },
  {
    title: 'equal passages all count',
    requests: [
      ...plan,
      pass([1, 1, '10:00:00'], [1, 1, '10:00:00'], [1, 1, '10:00:00'], [1, -1, '10:00:00']),
    ],
    counts: [['A', '10:00:00', 2]],
  },
  {
    title: 'passages in any order, over midnight and months',
    requests: [
      ...plan,
      pass(
        [1, 1, '2026-10-06T00:00:00Z'],
        [1, -1, '2026-10-05T23:59:59.999999Z'],
        [1, 1, '2026-02-05T03:00:00Z'],
      ),
      pass([1, 1, '2025-12-31T23:59:59Z']),
    ],
    counts: [
      ['A', '2026-01-01T00:00:00Z', 1],
      ['A', '2026-10-05T23:59:59.999998Z', 2],
      ['A', '2026-10-05T23:59:59.999999Z', 1],
      ['A', '2026-10-06T00:00:00Z', 2],
    ],
  },
  {
    title: 'a passage with an id, sent twice, counts once; corrected, as it is now; taken back, not at all',
    requests: [
      ...plan,
      ['POST', '/v1/passages', [passage(1, 1, at('10:00:00'), 'p'), passage(1, 1, at('10:00:00'), 'q')]],
      ['POST', '/v1/passages', [passage(1, 1, at('10:00:00'), 'p'), passage(1, 1, at('13:00:00'), 'r')]],
      ['PUT', '/v1/passages/q', passage(1, 1, at('12:00:00'))],
      ['DELETE', '/v1/passages/r'],
    ],
    counts: [
      ['A', '11:00:00', 1],
      ['A', '14:00:00', 2],
    ],
  },
  {
    title: 'both sides in one space: who passes stays in it',
    requests: [spaces, ['POST', '/v1/assignments', hung('x', 1, 'A', 'A')], pass([1, 1, '10:00:00'])],
    counts: [['A', '10:00:00', 0]],
  },
  {
    title: 'a sensor that is moved: what it saw before stays where it was',
    requests: [
      ...plan,
      pass([1, 1, '10:00:00'], [1, 1, '11:00:00'], [1, 1, '12:00:00'], [1, 1, '13:00:00']),
      ['PUT', '/v1/assignments/x', hung('x', 1, 'A', null, { to: at('11:30:00') })],
      ['POST', '/v1/assignments', hung('x2', 1, 'C', 'B', { from: at('11:30:00') })],
    ],
    counts: [
      ['A', '11:00:00', 2],
      ['A', '14:00:00', 2],
      ['C', '11:30:00', 0],
      ['C', '14:00:00', 2],
      ['B', '14:00:00', -2],
    ],
  },
  {
    title: 'the move is corrected by an hour: counts before, between and after',
    requests: [
      ...plan,
      pass([1, 1, '10:00:00'], [1, 1, '11:00:00'], [1, 1, '12:00:00'], [1, 1, '13:00:00']),
      ['POST', '/v1/assignments', hung('x2', 1, 'C', null, { from: at('11:30:00') })],
      ['PUT', '/v1/assignments/x2', hung('x2', 1, 'C', null, { from: at('12:30:00') })],
    ],
    counts: [
      ['A', '10:30:00', 1],
      ['A', '12:00:00', 3],
      ['C', '12:00:00', 0],
      ['A', '14:00:00', 3],
      ['C', '14:00:00', 1],
    ],
  },
  {
    title: 'an assignment holds from its start, inclusive, to its end, exclusive',
    requests: [
      spaces,
      ['POST', '/v1/assignments', hung('x', 1, 'A', null, { from: at('10:00:00'), to: at('11:00:00') })],
      pass([1, 1, '09:59:59.999999'], [1, 1, '10:00:00'], [1, 1, '10:59:59.999999'], [1, 1, '11:00:00']),
    ],
    counts: [['A', '12:00:00', 2]],
  },
  {
    title:
      'two assignments at once: the one that began later counts, and the other one again when it is over',
    requests: [
      spaces,
      [
        'POST',
        '/v1/assignments',
        [
          hung('short', 1, 'B', null, { from: at('10:00:00'), to: at('11:00:00') }),
          hung('long', 1, 'A', null, { from: at('09:00:00') }),
        ],
      ],
      pass([1, 1, '09:30:00'], [1, 1, '10:30:00'], [1, 1, '11:30:00']),
    ],
    counts: [
      ['A', '12:00:00', 2],
      ['B', '12:00:00', 1],
    ],
  },
  {
    title: 'a passage of a sensor that hangs nowhere counts once it is assigned',
    requests: [
      ...plan,
      pass([7, 1, '10:00:00'], [7, 1, '11:00:00'], [7, 1, '12:00:00']),
      ['POST', '/v1/assignments', hung('late', 7, 'B', null, { from: at('10:30:00') })],
    ],
    counts: [
      ['B', '10:30:00', 0],
      ['B', '11:00:00', 1],
      ['B', '12:00:00', 2],
    ],
  },
  {
    title: 'an assignment that is taken back counts nothing any more',
    requests: [...plan, three, ['DELETE', '/v1/assignments/z']],
    counts: [
      ['A', '12:00:00', 2],
      ['B', '12:00:00', 0],
    ],
  },
  {
    title: 'a reset to 5, and passages after it',
    requests: [...plan, three, reset('A', '11:30:00', 5)],
    counts: [
      ['A', '11:00:00', 2],
      ['A', '11:30:00', 5],
      ['A', '12:00:00', 4],
      ['A&calibrated=false', '12:00:00', 1],
      ['B', '12:00:00', 1],
    ],
  },
  {
    title: 'a reset and a passage at the same time: the passage is in the count that is set',
    requests: [...plan, three, reset('A', '11:00:00', 5)],
    counts: [
      ['A', '10:59:59.999999', 1],
      ['A', '11:00:00', 5],
      ['A', '12:00:00', 4],
    ],
  },
  {
    title: 'what comes late and is earlier than a reset changes nothing after it; what is later does',
    requests: [
      ...plan,
      three,
      reset('A', '11:30:00', 5),
      pass([1, 1, '11:15:00'], [1, 1, '11:30:00'], [1, 1, '11:45:00']),
    ],
    counts: [
      ['A', '11:15:00', 3],
      ['A', '11:30:00', 5],
      ['A', '11:45:00', 6],
      ['A', '12:00:00', 5],
      ['A&calibrated=false', '12:00:00', 4],
    ],
  },
  {
    title:
      'of two resets at the same time the one that came later counts; a reset can be corrected and taken back',
    requests: [
      ...plan,
      three,
      reset('A', '11:30:00', 5),
      reset('A', '11:30:00', 7),
      ['POST', '/v1/resets', { id: 'r', space_id: 'B', ts: at('11:00:00'), people: 40 }],
      ['PUT', '/v1/resets/r', { space_id: 'B', ts: at('11:00:00'), people: 4 }],
      ['POST', '/v1/resets', { id: 'gone', space_id: 'B', ts: at('11:30:00'), people: 90 }],
      ['DELETE', '/v1/resets/gone'],
    ],
    counts: [
      ['A', '12:00:00', 6],
      ['B', '12:00:00', 5],
    ],
  },
  {
    title: 'below zero: as it is, or shown as 0; what is kept stays below',
    requests: [
      ...plan,
      pass(
        [1, -1, '10:00:00'],
        [1, -1, '11:00:00'],
        [1, 1, '12:00:00'],
        [1, 1, '13:00:00'],
        [1, 1, '14:00:00'],
      ),
    ],
    counts: [
      ['A', '11:00:00', -2],
      ['A&negative=raw', '12:00:00', -1],
      ['A&negative=clamp', '11:00:00', 0],
      ['A&negative=clamp', '12:00:00', 0],
      ['A&negative=clamp', '14:00:00', 1],
    ],
  },
  {
    title: 'every night at 04:00 by the clock of the space, in summer, in winter, and in the nights between',
    requests: [
      ...plan,
      ['PUT', '/v1/reset-rules/night', { space_id: 'A', local_time: '04:00', from: '2026-10-23T00:00:00Z' }],
      pass(
        [1, 1, '2026-10-22T10:00:00Z'],
        [1, 1, '2026-10-24T10:00:00Z'],
        [1, 1, '2026-10-25T02:59:59Z'],
        [1, 1, '2026-10-25T03:00:00Z'],
        [1, 1, '2026-10-25T03:00:01Z'],
        [1, 1, '2026-10-26T02:59:59.999999Z'],
      ),
    ],
    counts: [
      ['A', '2026-10-22T23:59:59Z', 1],
      ['A', '2026-10-23T01:59:59.999999Z', 1],
      ['A', '2026-10-23T02:00:00Z', 0],
      ['A', '2026-10-24T12:00:00Z', 1],
      // 02:00 in UTC is 04:00 no more: the clock was put back at 01:00.
      ['A', '2026-10-25T02:00:00Z', 1],
      ['A', '2026-10-25T02:59:59Z', 2],
      ['A', '2026-10-25T03:00:00Z', 0],
      ['A', '2026-10-25T03:00:01Z', 1],
      ['A', '2026-10-26T02:59:59.999999Z', 2],
      ['A', '2026-10-26T03:00:00Z', 0],
      ['A&calibrated=false', '2026-10-26T03:00:00Z', 6],
    ],
  },
  {
    title: 'a time that the clock jumps over, and one that it shows twice',
    requests: [
      ...plan,
      ['PUT', '/v1/reset-rules/half', { space_id: 'A', local_time: '02:30', people: 100 }],
      pass([1, 1, '2026-03-29T00:59:59Z'], [1, 1, '2026-10-25T00:29:59Z'], [1, 1, '2026-10-25T01:00:00Z']),
    ],
    counts: [
      ['A', '2026-03-29T01:29:59.999999Z', 101],
      ['A', '2026-03-29T01:30:00Z', 100],
      ['A', '2026-10-25T00:29:59.999999Z', 101],
      ['A', '2026-10-25T00:30:00Z', 100],
      // The second 02:30 of that night sets nothing.
      ['A', '2026-10-25T01:30:00Z', 101],
    ],
  },
  {
    title: 'a rule that ends, one that is taken back, and a reset by hand at the time of a rule',
    requests: [
      ...plan,
      ['PUT', '/v1/reset-rules/r', { space_id: 'A', local_time: '04:00', to: '2026-10-02T02:00:00Z' }],
      ['PUT', '/v1/reset-rules/s', { space_id: 'A', local_time: '05:00', people: 50 }],
      ['DELETE', '/v1/reset-rules/s'],
      reset('A', '2026-10-01T02:00:00Z', 9),
      pass([1, 1, '2026-10-01T10:00:00Z'], [1, 1, '2026-10-04T10:00:00Z']),
    ],
    counts: [
      ['A', '2026-09-30T02:00:00Z', 0],
      ['A', '2026-10-01T02:00:00Z', 9],
      ['A', '2026-10-02T02:00:00Z', 10],
      ['A', '2026-10-05T02:00:00Z', 11],
    ],
  },
];

describe.each(storeKinds)('counts, %s', (kind) => {
  test.each(cases)('$title', async ({ requests, counts }) => {
    const occupancy = await openOccupancy(kind);
    for (const [method, url, body] of requests) await occupancy.done(method, url, body);
    const asked = async () => {
      const found: typeof counts = [];
      for (const [space, time] of counts) {
        const [id, more] = space.split('&') as [string, string?];
        const ts = time.includes('T') ? time : at(time);
        found.push([space, time, await occupancy.count(id, ts, more ? `&${more}` : '')]);
        const all = await occupancy.done('GET', `/v1/spaces/counts?ts=${ts}${more ? `&${more}` : ''}`);
        const one = all.spaces.find((row: { space_id: string }) => row.space_id === id);
        expect(one.count, `all spaces at ${ts}`).toBe(found.at(-1)![2]);
      }
      return found;
    };
    expect(await asked()).toEqual(counts);
    await occupancy.tallybook.compact();
    expect(await asked(), 'compacted').toEqual(counts);
    expect((await occupancy.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('what was known at a time stays as it was, whatever is corrected', async () => {
    const { done, count } = await openOccupancy(kind);
    for (const [method, url, body] of plan) await done(method, url, body);
    const before = await done('POST', '/v1/passages', [passage(1, 1, at('10:00:00'), 'p')]);
    const known = `&known_at=${before.recorded_at}`;
    await done('PUT', '/v1/passages/p', passage(1, -1, at('10:00:00')));
    await done('PUT', '/v1/assignments/x', hung('x', 1, 'B', null));
    await done('POST', '/v1/spaces/A/resets', { ts: at('10:30:00'), count: 70 });
    await done('PUT', '/v1/reset-rules/r', { space_id: 'B', local_time: '13:00', people: 8 });
    expect([await count('A', at('11:00:00')), await count('B', at('11:00:00'))]).toEqual([70, 8]);
    expect([await count('A', at('11:00:00'), known), await count('B', at('11:00:00'), known)]).toEqual([
      1, 0,
    ]);
  });

  test('the answer to one space is what its clients know', async () => {
    const { done, send } = await openOccupancy(kind);
    for (const [method, url, body] of plan) await done(method, url, body);
    await done('POST', '/v1/passages', passage(1, 1, '2026-10-05T10:00:00+02:00'));
    expect(await done('GET', '/space/A/count?ts=2026-10-05T08:00:00Z')).toEqual({
      space_id: 'A',
      ts: '2026-10-05T08:00:00.000000Z',
      count: 1,
    });
    expect(await done('GET', '/space/A/count?ts=2026-10-05 10:00:00%2B02:00')).toMatchObject({ count: 1 });
    const now = await done('GET', '/space/A/count');
    expect(Math.abs(Date.parse(now.ts) - Date.now())).toBeLessThan(60_000);
    const unknown = await send('GET', '/space/nowhere/count');
    expect([unknown.status, unknown.text]).toEqual([404, '{"detail":"Not found."}']);
  });

  // biome-ignore format: one line a case
  test.each<[path: string, status: number, detail: string]>([
    ['/space/A/count?ts=yesterday', 400, 'ts is yesterday; expected a timestamp'],
    ['/space/A/count?ts=', 400, 'ts is'],
    ['/space/A/count?ts=2026-02-30T00:00:00Z', 400, 'ts is 2026-02-30'],
    ['/space/A/count?negative=zero', 400, 'must be one of raw, clamp'],
    ['/space/A/count?at=2026-10-05T00:00:00Z', 400, 'at is not known here'],
    ['/v1/spaces/counts?ts=1', 400, 'ts is 1'],
    ['/v1/spaces/nowhere/counts?start_time=2026-10-05&end_time=2026-10-06&interval=1h', 404, 'there is no space nowhere'],
    ['/v1/spaces/A/counts?start_time=2026-10-05&end_time=2026-10-06&interval=1y', 400, 'interval must be one of'],
    ['/v1/spaces/A/counts?start_time=2026-10-05&end_time=2026-10-05&interval=1h', 400, 'does not lie before'],
    ['/v1/spaces/A/counts?start_time=2025-10-05&end_time=2026-10-05&interval=1m', 400, 'more than 10000 intervals'],
    ['/v1/spaces/A/counts?end_time=2026-10-05&interval=1m', 400, 'start_time is missing'],
    ['/v1/spaces/nowhere/resets', 404, 'there is no space nowhere'],
  ])('%s is refused', async (path, status, detail) => {
    const { done, send } = await openOccupancy(kind);
    await done(...(spaces as [string, string, unknown]));
    const answered = await send('GET', path);
    expect([answered.status, answered.json.detail]).toEqual([status, expect.stringContaining(detail)]);
  });

  test('what is no passage is refused, with the reason', async () => {
    const { done } = await openOccupancy(kind);
    const receipt = await done('POST', '/v1/passages', [
      passage(1, 0, at('10:00:00')),
      passage(1, 2, at('10:00:00')),
      { ...passage(1, 1, at('10:00:00')), dpu_id: 'x' },
      passage(1, 1, '2026-02-30T00:00:00Z'),
      { timestamp: at('10:00:00'), direction: '1', dpu_id: '1' },
    ]);
    expect(receipt).toMatchObject({ accepted: 1, rejected: 4 });
    expect(
      receipt.errors.map(({ code, field }: { code: string; field: string }) => `${code} ${field}`),
    ).toEqual([
      'not_one_of direction',
      'not_one_of direction',
      'invalid_value dpu_id',
      'invalid_value timestamp',
    ]);
  });

  test('a space with a time zone that is none says so, and the others are counted', async () => {
    const { done, send } = await openOccupancy(kind);
    await done('POST', '/v1/spaces', [{ id: 'A' }, { id: 'M', tz: 'Mars/Base' }]);
    const { status, json } = await send('GET', '/space/M/count');
    expect([status, json.detail]).toEqual([
      400,
      expect.stringContaining('the time zone Mars/Base, which is none'),
    ]);
    const { spaces: all } = await done('GET', '/v1/spaces/counts');
    expect(all).toMatchObject([
      { space_id: 'A', count: 0 },
      { space_id: 'M', count: null, fault: expect.stringContaining('Mars/Base') },
    ]);
  });

  test('a retry with an Idempotency-Key counts once', async () => {
    const { done, count } = await openOccupancy(kind);
    for (const [method, url, body] of plan) await done(method, url, body);
    const body = [passage(1, 1, at('10:00:00')), passage(1, 1, at('10:00:00'))];
    for (let n = 0; n < 2; n++) await done('POST', '/v1/passages', body, { 'idempotency-key': 'k1' });
    expect(await count('A', at('10:00:00'))).toBe(2);
  });

  test('resets of a space are listed; the same id again changes nothing', async () => {
    const { done, send } = await openOccupancy(kind);
    await done(...(spaces as [string, string, unknown]));
    const asked = { id: 'r1', ts: at('10:00:00'), count: 5, reason: 'by hand' };
    const first = await send('POST', '/v1/spaces/A/resets', asked);
    const again = await send('POST', '/v1/spaces/A/resets', asked);
    const other = await send('POST', '/v1/spaces/A/resets', { ...asked, count: 6 });
    expect([first.status, again.status, other.status]).toEqual([201, 200, 400]);
    expect(await done('GET', '/v1/spaces/A/resets')).toEqual([
      { id: 'r1', space_id: 'A', ts: '2026-10-05T10:00:00.000000Z', count: 5, reason: 'by hand' },
    ]);
    expect((await send('POST', '/v1/spaces/nowhere/resets', asked)).status).toBe(404);
    expect((await send('POST', '/v1/spaces/A/resets', { count: 1.5 })).status).toBe(400);
  });
});
