/**
 * An assignment means the same by whatever door it comes: with a plan, or by itself. What a plan is refused with is told
 * of assignments that came by themselves.
 */
import { describe, expect, test } from 'vitest';
import { follow } from '../../http/follow-events.ts';
import { csv, lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { type OpenOccupancy, openOccupancy, passage } from './opened.ts';

/** X between A and the outside, Z between A and B; N says of neither of its sides. */
const building = {
  spaces: [{ id: 'A' }, { id: 'B' }, { id: 'C' }],
  doorways: [{ id: 'X', one_side: 'A' }, { id: 'Z', one_side: 'A', other_side: 'B' }, { id: 'N' }],
};
interface Assignment {
  id: string;
  dpu_id: number;
  doorway_id: string;
  faces?: string;
  behind?: string;
}
const hung = (doorway_id: string, sides: Pick<Assignment, 'faces' | 'behind'>): Assignment => ({
  id: 'one',
  dpu_id: 1,
  doorway_id,
  ...sides,
});
const noon = '2026-10-05T12:00:00Z';

const doors: [door: string, send: (occupancy: OpenOccupancy, one: Assignment) => Promise<unknown>][] = [
  ['a plan', ({ done }, one) => done('POST', '/v1/occupancy/plan', { assignments: [one] })],
  ['an object', ({ done }, one) => done('POST', '/v1/assignments', one)],
  ['lines', ({ done }, one) => done('POST', '/v1/assignments', lines([one]), ndjson)],
  ['an address of its own', ({ done }, one) => done('PUT', '/v1/assignments/one', one)],
  ['the stream', ({ done }, one) => done('POST', '/v1/streams/assignments/records', one)],
  [
    'a file',
    ({ done }, { id, dpu_id, doorway_id, faces = '', behind = '' }) =>
      done(
        'POST',
        '/v1/imports?stream=assignments&mode=upsert',
        `id,dpu_id,doorway_id,faces,behind\n${[id, dpu_id, doorway_id, faces, behind].join(',')}`,
        csv,
      ),
  ],
];
/** Of A and B after one passage away from the sensor. */
const meanings: [title: string, one: Assignment, counts: [A: number, B: number]][] = [
  ['who faces one of two spaces has the other one behind', hung('Z', { faces: 'A' }), [1, -1]],
  ['the same the other way round', hung('Z', { faces: 'B' }), [-1, 1]],
  ['who has one of two spaces behind faces the other one', hung('Z', { behind: 'A' }), [-1, 1]],
  ['both sides', hung('Z', { faces: 'A', behind: 'B' }), [1, -1]],
  ['a space and the outside', hung('X', { faces: 'A' }), [1, 0]],
  ['out of a space', hung('X', { behind: 'A' }), [-1, 0]],
  ['a doorway that says nothing', hung('N', { faces: 'A' }), [1, 0]],
];
const counted = async ({ count }: OpenOccupancy, more = '') => [
  await count('A', noon, more),
  await count('B', noon, more),
];

describe.each(storeKinds)('assignments, %s', (kind) => {
  const opened = async () => {
    const occupancy = await openOccupancy(kind);
    await occupancy.done('POST', '/v1/occupancy/plan', building);
    await occupancy.done('POST', '/v1/passages', passage(1, 1, '2026-10-05T10:00:00Z'));
    return occupancy;
  };
  const faultOf = async ({ done }: OpenOccupancy): Promise<string | undefined> =>
    (await done('GET', '/v1/sensors/health'))[0].fault;

  test.each(meanings)('%s, by every door', async (_title, one, counts) => {
    const occupancy = await opened();
    for (const [door, send] of doors) {
      await send(occupancy, one);
      expect(await counted(occupancy), door).toEqual(counts);
      expect(await faultOf(occupancy), door).toBeUndefined();
      const series = await occupancy.done(
        'GET',
        '/v1/spaces/B/counts?start_time=2026-10-05&end_time=2026-10-06&interval=1d',
      );
      expect(series.counts.at(-1).count, door).toBe(counts[1]);
      await occupancy.done('DELETE', '/v1/assignments/one');
      expect(await counted(occupancy), door).toEqual([0, 0]);
    }
  });

  // biome-ignore format: one line a case
  test.each<[title: string, one: Assignment, fault: string]>([
    ['a side that is no space', hung('N', { faces: 'Q' }), 'it faces Q, which is no space of'],
    ['no space behind', hung('N', { behind: 'Q' }), 'behind it is Q, which is no space of'],
    ['a doorway that is not there', hung('Q', { faces: 'A' }), 'it hangs at Q, which is no doorway of'],
    ['a space that is not at the doorway', hung('X', { faces: 'B', behind: 'A' }), 'it stands between B and A, but the doorway X joins A and the outside'],
    ['another one of two spaces', hung('Z', { faces: 'A', behind: 'C' }), 'it stands between A and C, but the doorway Z joins A and B'],
    ['no side at all', hung('Z', {}), 'it stands between the outside and the outside, but the doorway Z joins A and B'],
  ])('%s is refused in a plan, and told of when it comes by itself', async (_title, one, fault) => {
    const occupancy = await opened();
    const { status, json } = await occupancy.send('POST', '/v1/occupancy/plan', { assignments: [one] });
    expect([status, json.detail]).toEqual([400, expect.stringContaining(`assignments 1: ${fault}`)]);
    await occupancy.done('POST', '/v1/assignments', one);
    expect(await faultOf(occupancy)).toContain(`the assignment one: ${fault}`);
    await occupancy.done('PUT', '/v1/assignments/one', hung('Z', { faces: 'A' }));
    expect(await faultOf(occupancy)).toBeUndefined();
  });

  test('what comes before its doorway means the same once that is known; a doorway that is corrected, too', async () => {
    const occupancy = await openOccupancy(kind);
    const { done, listen } = occupancy;
    await done('POST', '/v1/spaces', building.spaces);
    await done('POST', '/v1/passages', passage(1, 1, '2026-10-05T10:00:00Z'));
    await done('POST', '/v1/assignments', hung('Z', { faces: 'A' }));
    expect([await counted(occupancy), await faultOf(occupancy)]).toEqual([
      [1, 0],
      'the assignment one: it hangs at Z, which is no doorway of the ledger',
    ]);
    const all = await follow(`${await listen()}/v1/spaces/events?space_id=B,C`);
    const told = () =>
      all
        .events()
        .flatMap(({ data }) => data.spaces)
        .map(({ space_id, count }) => `${space_id} ${count}`);
    await expect.poll(told, { timeout: 10_000 }).toEqual(['B 0', 'C 0']);
    const { recorded_at: known } = await done('POST', '/v1/doorways', building.doorways[1]);
    expect([await counted(occupancy), await faultOf(occupancy)]).toEqual([[1, -1], undefined]);
    await expect.poll(told, { timeout: 10_000 }).toEqual(['B 0', 'C 0', 'B -1']);
    // The next commit must not be recorded at the same microsecond.
    await new Promise((resolve) => setTimeout(resolve, 2));
    await done('PUT', '/v1/doorways/Z', { one_side: 'A', other_side: 'C' });
    expect(await counted(occupancy)).toEqual([1, 0]);
    expect(await occupancy.count('C', noon)).toBe(-1);
    await expect.poll(told, { timeout: 10_000 }).toEqual(['B 0', 'C 0', 'B -1', 'B 0', 'C -1']);
    expect(await counted(occupancy, `&known_at=${encodeURIComponent(known)}`)).toEqual([1, -1]);
    all.stop();
  });
});
