/** What stands beside the counts: the plan, the live stream, capacity, silent sensors, passages that belong nowhere. */
import { describe, expect, test } from 'vitest';
import { liveRoute } from '../../../src/systems/occupancy/live.ts';
import type { RouteRequest } from '../../../src/systems/system.ts';
import { follow } from '../../http/follow-events.ts';
import { storeKinds } from '../../http/open-app.ts';
import { openOccupancy, passage } from './opened.ts';

const plan = {
  spaces: [{ id: 'A', tz: 'Europe/Madrid', capacity: 5 }, { id: 'B' }],
  doorways: [
    { id: 'X', one_side: 'A' },
    { id: 'Z', one_side: 'A', other_side: 'B' },
  ],
  sensors: [{ dpu_id: 1, name: 'main door', expected_seconds: 600 }, { dpu_id: 3 }],
  assignments: [
    { dpu_id: 1, doorway_id: 'X', faces: 'A', from: '2026-01-01' },
    { dpu_id: 2, doorway_id: 'Z', behind: 'B', from: '2026-01-01T00:00:00Z' },
  ],
  reset_rules: [{ space_id: 'B', local_time: '04:00' }],
};
const ago = (seconds: number): string => new Date(Date.now() - seconds * 1_000).toISOString();

interface Told {
  spaces: { space_id: string; count: number }[];
}

describe.each(storeKinds)('beside the counts, %s', (kind) => {
  test('a plan sets up a building; again it changes nothing, changed it corrects', async () => {
    const { done, count } = await openOccupancy(kind);
    const first = await done('POST', '/v1/occupancy/plan', plan);
    expect(Object.values(first).map((part) => (part as { accepted: number }).accepted)).toEqual([
      2, 2, 2, 2, 1,
    ]);
    const again = await done('POST', '/v1/occupancy/plan', plan);
    expect(Object.values(again).map((part) => (part as { duplicates: number }).duplicates)).toEqual([
      2, 2, 2, 2, 1,
    ]);
    const { records } = await done('GET', '/v1/assignments');
    expect(records.map(({ record }: { record: object }) => record)).toMatchObject([
      { id: '1-1', faces: 'A', behind: null, from: '2026-01-01T00:00:00.000000Z' },
      { id: '2-1', faces: 'A', behind: 'B', to: null },
    ]);
    await done('POST', '/v1/passages', [
      passage(2, 1, '2026-10-05T10:00:00Z'),
      passage(1, 1, '2026-10-05T10:00:00Z'),
    ]);
    expect([await count('A', '2026-10-05T10:00:00Z'), await count('B', '2026-10-05T10:00:00Z')]).toEqual([
      2, -1,
    ]);
    const turned = { assignments: [{ ...plan.assignments[0], faces: undefined, behind: 'A' }] };
    expect(await done('POST', '/v1/occupancy/plan', turned)).toMatchObject({ assignments: { corrected: 1 } });
    expect(await count('A', '2026-10-05T10:00:00Z')).toBe(0);
  });

  // biome-ignore format: one line a case
  test.each<[title: string, change: object, detail: string]>([
    ['a side that is no space', { assignments: [{ dpu_id: 1, doorway_id: 'X', faces: 'Q' }] }, 'assignments 1: it faces Q, which is no space'],
    ['a doorway that is not there', { assignments: [{ dpu_id: 1, doorway_id: 'Q', faces: 'A' }] }, 'it hangs at Q, which is no doorway'],
    ['another doorway', { assignments: [{ dpu_id: 1, doorway_id: 'X', faces: 'B', behind: 'A' }] }, 'the doorway X joins A and the outside'],
    ['a doorway into nowhere', { doorways: [{ id: 'X', one_side: 'Q' }], assignments: [] }, 'doorways 1: one_side is Q'],
    ['a time zone that is none', { spaces: [{ id: 'A', tz: 'Mars/Base' }, { id: 'B' }] }, 'spaces 1: tz is Mars/Base'],
    ['an end before the start', { assignments: [{ dpu_id: 1, doorway_id: 'X', faces: 'A', from: '2026-02-01', to: '2026-01-01' }] }, 'does not lie before to'],
    ['a date that does not exist', { assignments: [{ dpu_id: 1, doorway_id: 'X', faces: 'A', from: '2026-02-30' }] }, 'from is "2026-02-30"; expected a timestamp'],
    ['a sensor that is none', { sensors: [{ dpu_id: 'front' }] }, 'sensors 1: dpu_id is "front"; expected a whole number'],
    ['a name that is misspelt', { spaces: [{ id: 'A', size: 3 }, { id: 'B' }] }, 'spaces 1: size is not known here'],
    ['an id twice', { spaces: [{ id: 'A' }, { id: 'A' }, { id: 'B' }] }, 'spaces 2: the id A is there twice'],
    ['a rule for no space', { reset_rules: [{ space_id: 'Q', local_time: '04:00' }] }, 'it resets Q'],
    ['a time of day that is none', { reset_rules: [{ space_id: 'A', local_time: '24:00' }] }, 'local_time is "24:00"'],
    ['a part that is not known', { rooms: [] }, 'rooms is not known here'],
  ])('a plan with %s is refused as a whole', async (_title, change, detail) => {
    const { done, send } = await openOccupancy(kind);
    const { status, json } = await send('POST', '/v1/occupancy/plan', { ...plan, ...change });
    expect([status, json.detail]).toEqual([400, expect.stringContaining(detail)]);
    expect(await done('GET', '/v1/spaces')).toEqual({ records: [] });
  });

  test('who listens is told of every space, and then of those that change', async () => {
    const { done, listen } = await openOccupancy(kind);
    await done('POST', '/v1/occupancy/plan', { ...plan, reset_rules: [] });
    const url = await listen();
    const all = await follow(`${url}/v1/spaces/events`);
    const one = await follow(`${url}/v1/spaces/events?space_id=B&negative=clamp`);
    const told = (of: typeof all) => of.events().flatMap(({ data }) => data.spaces);
    const counts = (of: typeof all) => told(of).map((row) => [row.space_id, row.count]);
    await expect.poll(() => counts(one), { timeout: 10_000 }).toEqual([['B', 0]]);
    await done('POST', '/v1/passages', passage(1, 1, ago(5)));
    await expect
      .poll(() => counts(all), { timeout: 10_000 })
      .toEqual([
        ['A', 0],
        ['B', 0],
        ['A', 1],
      ]);
    await done('POST', '/v1/passages', passage(2, 1, ago(4)));
    await expect
      .poll(() => counts(all).slice(3), { timeout: 10_000 })
      .toEqual([
        ['A', 2],
        ['B', -1],
      ]);
    await done('POST', '/v1/spaces/A/resets', { count: 5 });
    await expect
      .poll(() => told(all).at(-1), { timeout: 10_000 })
      .toEqual({ space_id: 'A', count: 5, utilisation: 1 });
    expect(counts(one)).toEqual([
      ['B', 0],
      ['B', 0],
    ]);
    all.stop();
    one.stop();
  });

  test('who takes nothing keeps nobody waiting, and is told of what is when it takes more', async () => {
    const { done, tallybook } = await openOccupancy(kind);
    await done('POST', '/v1/occupancy/plan', { ...plan, reset_rules: [] });
    const closing: (() => void)[] = [];
    const listen = async (takes: () => Promise<void>) => {
      const told: [string, number][] = [];
      const query = { space_id: 'A' };
      const answered = await liveRoute.answer({ tallybook, query } as unknown as RouteRequest);
      if (!('events' in answered)) throw new Error('no events');
      await answered.events({
        each: async (_id, _event, data) => {
          told.push(
            ...(data as Told).spaces.map(({ space_id, count }): [string, number] => [space_id, count]),
          );
          await takes();
        },
        onClose: (listener) => closing.push(listener),
        latest: () => undefined,
        end: () => undefined,
        closed: false,
      });
      return told;
    };
    let letGo = (): void => undefined;
    const slow = await listen(
      () =>
        new Promise((resolve) => {
          letGo = resolve;
        }),
    );
    const quick = await listen(() => Promise.resolve());
    for (const count of [1, 2, 3]) {
      await expect.poll(() => quick.at(-1), { timeout: 10_000 }).toEqual(['A', count - 1]);
      await done('POST', '/v1/passages', passage(1, 1, ago(10 - count)));
    }
    await expect.poll(() => quick.at(-1), { timeout: 10_000 }).toEqual(['A', 3]);
    expect(slow).toEqual([['A', 0]]);
    letGo();
    await expect
      .poll(() => slow, { timeout: 10_000 })
      .toEqual([
        ['A', 0],
        ['A', 3],
      ]);
    for (const close of closing) close();
  });

  test('a space that is nearly full, and full, is told of once for its day', async () => {
    const { done, listen } = await openOccupancy(kind);
    await done('POST', '/v1/occupancy/plan', { ...plan, reset_rules: [] });
    await listen();
    // Between two looks it waits 25 times as long as the last one took.
    const soon = { timeout: 40_000 };
    const notifications = async () => (await done('GET', '/v1/notifications?order=oldest')).notifications;
    await done('POST', '/v1/spaces/A/resets', { count: 4, ts: ago(60) });
    await expect.poll(notifications, soon).toMatchObject([
      {
        alert: 'occupancy.capacity',
        key: 'A',
        threshold: '80',
        limit: '5',
        value: '4',
        percent: '80',
        period: { every: 'day', tz: 'Europe/Madrid' },
      },
    ]);
    await done('POST', '/v1/passages', [
      passage(1, 1, ago(30)),
      passage(1, -1, ago(29)),
      passage(1, 1, ago(28)),
    ]);
    await expect.poll(async () => (await notifications()).length, soon).toBe(2);
    expect((await notifications())[1]).toMatchObject({ threshold: '100', value: '5', percent: '100' });
    await done('POST', '/v1/passages', [
      passage(1, -1, ago(20)),
      passage(1, 1, ago(10)),
      passage(1, 1, ago(9)),
    ]);
    await done('PUT', '/v1/spaces/B', { capacity: 1 });
    await done('POST', '/v1/spaces/B/resets', { count: 1 });
    await expect.poll(async () => (await notifications()).length, soon).toBe(4);
    expect(
      (await notifications()).map(({ key, threshold }: Record<string, string>) => `${key} ${threshold}`),
    ).toEqual(['A 80', 'A 100', 'B 80', 'B 100']);
  });

  test('sensors that are silent for longer than expected', async () => {
    const { done } = await openOccupancy(kind);
    await done('POST', '/v1/occupancy/plan', plan);
    await done('POST', '/v1/passages', [
      passage(1, 1, ago(900)),
      passage(1, 1, ago(700)),
      passage(2, 1, ago(700)),
      passage(2, 1, '2099-01-01T00:00:00Z'),
      passage(10, 1, '2026-01-05T00:00:00Z'),
    ]);
    const rows = await done('GET', '/v1/sensors/health');
    expect(rows).toMatchObject([
      {
        dpu_id: '1',
        name: 'main door',
        doorway_id: 'X',
        assigned: true,
        expected_seconds: 600,
        silent: true,
      },
      { dpu_id: '2', name: null, doorway_id: 'Z', assigned: true, expected_seconds: 86_400, silent: false },
      { dpu_id: '3', assigned: false, last_seen: null, silent: true },
      { dpu_id: '10', assigned: false, last_seen: '2026-01-05T00:00:00.000000Z', silent: true },
    ]);
    expect(Date.now() - Date.parse(rows[0].last_seen)).toBeLessThan(800_000);
    const ids = async (query: string) =>
      (await done('GET', `/v1/sensors/health?${query}`)).map(({ dpu_id }: { dpu_id: string }) => dpu_id);
    expect(await ids('silent=true')).toEqual(['1', '3', '10']);
    expect(await ids('silent=true&silent_after=60')).toEqual(['1', '2', '3', '10']);
    expect(await ids('page_size=3')).toEqual(['1', '2', '3']);
  });

  test('passages of sensors that hung nowhere are listed until an assignment covers them', async () => {
    const { done, send } = await openOccupancy(kind);
    await done('POST', '/v1/occupancy/plan', plan);
    await done('POST', '/v1/passages', [
      passage(1, 1, '2025-12-31T23:59:59.999999Z'),
      passage(1, 1, '2026-01-01T00:00:00Z'),
      passage(9, 1, '2026-01-01T00:00:00Z'),
      passage(9, -1, '2026-02-01T00:00:00Z'),
    ]);
    const nine = { dpu_id: '9', unassigned: 2, stretches: [{ from: null, to: null, passages: 2 }] };
    expect(await done('GET', '/v1/passages/unassigned')).toEqual([
      {
        dpu_id: '1',
        unassigned: 1,
        stretches: [{ from: null, to: '2026-01-01T00:00:00.000000Z', passages: 1 }],
      },
      nine,
    ]);
    const first = await send('GET', '/v1/passages/unassigned?page_size=1');
    const next = /<([^>]*)>/.exec(String(first.headers.link))![1]!;
    expect(await done('GET', next)).toEqual([nine]);
    await done('POST', '/v1/assignments', {
      dpu_id: 9,
      faces: 'A',
      from: '2026-01-15T00:00:00Z',
      to: '2026-01-20T00:00:00Z',
    });
    await done('POST', '/v1/assignments', { dpu_id: 9, faces: 'A', from: '2026-01-20T00:00:00Z' });
    await done('POST', '/v1/assignments', { dpu_id: 1, faces: 'A' });
    expect(await done('GET', '/v1/passages/unassigned')).toEqual([
      {
        dpu_id: '9',
        unassigned: 1,
        stretches: [{ from: null, to: '2026-01-15T00:00:00.000000Z', passages: 1 }],
      },
    ]);
  });
});
