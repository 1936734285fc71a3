/**
 * The file that people-counting systems exchange: `timestamp,direction,dpu_id`, most cells quoted, times with milliseconds,
 * ascending, and lines that are equal to the one before: each of them is a passage. It is taken in whole, and in halves in
 * the wrong order; again it changes nothing. Every count equals that of a naive walk over its lines.
 */
import { describe, expect, test } from 'vitest';
import { Random } from '../../contract/random-work.ts';
import { csv, storeKinds } from '../../http/open-app.ts';
import { type OpenOccupancy, openOccupancy } from './opened.ts';

const seed = Number(process.env.TALLYBOOK_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));

interface Line {
  timestamp: string;
  direction: 1 | -1;
  dpu: 283 | 423;
}
const header = '"timestamp","direction","dpu_id"';
/** Who hangs where: 283 between the outside and A, 423 between B and A; both face A. */
const plan = {
  spaces: [{ id: 'A' }, { id: 'B' }],
  doorways: [
    { id: 'X', one_side: 'A' },
    { id: 'Z', one_side: 'A', other_side: 'B' },
  ],
  assignments: [
    { dpu_id: 283, doorway_id: 'X', faces: 'A', from: '2018-01-01' },
    { dpu_id: 423, doorway_id: 'Z', faces: 'A', from: '2018-01-01' },
  ],
};
const [first, last] = [Date.UTC(2018, 1, 24), Date.UTC(2018, 2, 3)];

/** 563 lines, 38 of them of the door inside, 33 equal to the one before. */
function made(random: Random): Line[] {
  const lines = Array.from(
    { length: 530 },
    (_, n): Line => ({
      timestamp: new Date(first + random.below(last - first)).toISOString(),
      direction: random.pick([1, -1]),
      dpu: n < 38 ? 423 : 283,
    }),
  );
  for (const line of lines.slice(-33)) lines.push({ ...line });
  return lines.sort((a, b) =>
    a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : a.dpu - b.dpu,
  );
}

/** Directions of the sensor inside are quoted, the others not, as in the files that are known. */
const fileOf = (lines: readonly Line[]): string =>
  [
    header,
    ...lines.map(({ timestamp, direction, dpu }) =>
      dpu === 423 ? `"${timestamp}","${direction}","${dpu}"` : `"${timestamp}",${direction},"${dpu}"`,
    ),
  ].join('\n');

function recounted(lines: readonly Line[], ts: string): { A: number; B: number } {
  const counts = { A: 0, B: 0 };
  for (const { timestamp, direction, dpu } of lines) {
    if (timestamp > ts) continue;
    counts.A += direction;
    if (dpu === 423) counts.B -= direction;
  }
  return counts;
}

async function checkCounts(occupancy: OpenOccupancy, lines: readonly Line[], random: Random) {
  const instants = [
    '2018-02-23T00:00:00.000Z',
    '2018-02-24T12:00:00.000Z',
    '2018-03-03T00:00:00.000Z',
    ...Array.from({ length: 10 }, () => random.pick(lines).timestamp),
    ...Array.from({ length: 10 }, () => new Date(first + random.below(last - first)).toISOString()),
  ];
  for (const ts of instants)
    for (const [space, count] of Object.entries(recounted(lines, ts)))
      expect(await occupancy.count(space, ts), `${space} at ${ts}`).toBe(count);
}

describe.each(storeKinds)(`the established file, %s (TALLYBOOK_TEST_SEED=${seed})`, (kind) => {
  const random = new Random(seed);
  const lines = made(random);
  const opened = async () => {
    const occupancy = await openOccupancy(kind);
    await occupancy.done('POST', '/v1/occupancy/plan', plan);
    return {
      occupancy,
      async take(name: string, some: readonly Line[]) {
        const url = `/v1/imports?stream=passages&name=${name}&wait=60`;
        const { status, counts } = await occupancy.done('POST', url, fileOf(some), csv);
        expect(status).toBe('done');
        const { received, accepted, duplicates, conflicts, rejected } = counts;
        expect([received, conflicts, rejected]).toEqual([some.length, 0, 0]);
        return { accepted, duplicates };
      },
    };
  };

  test('whole: every line counts, equal ones too; again none does', async () => {
    const { occupancy, take } = await opened();
    expect(lines.filter((line, n) => fileOf([line]) === fileOf(lines.slice(n - 1, n)))).toHaveLength(33);
    expect(await take('dpu_data.csv', lines)).toEqual({ accepted: 563, duplicates: 0 });
    await checkCounts(occupancy, lines, random);
    expect(await take('again.csv', lines)).toEqual({ accepted: 0, duplicates: 563 });
    await checkCounts(occupancy, lines, random);
    const { rows } = await occupancy.done(
      'GET',
      '/v1/streams/passages/query?by=dpu_id&order=dpu_id&measures=count',
    );
    const ofDoor = (of: number) => lines.filter(({ dpu }) => dpu === of).length;
    expect(rows).toEqual([
      { dpu_id: '283', count: ofDoor(283) },
      { dpu_id: '423', count: ofDoor(423) },
    ]);
  });

  test('in halves, the later one first, and both again: the counts are the same', async () => {
    const { occupancy, take } = await opened();
    // Between two equal lines, so that they come with two files: both count.
    const cut = lines.findIndex((line, n) => n > 250 && fileOf([line]) === fileOf(lines.slice(n - 1, n)));
    const halves = { later: lines.slice(cut), earlier: lines.slice(0, cut) };
    expect(await take('later.csv', halves.later)).toEqual({ accepted: 563 - cut, duplicates: 0 });
    await checkCounts(occupancy, halves.later, random);
    expect(await take('earlier.csv', halves.earlier)).toEqual({ accepted: cut, duplicates: 0 });
    await checkCounts(occupancy, lines, random);
    expect(await take('later.csv', halves.later)).toEqual({ accepted: 0, duplicates: 563 - cut });
    expect(await take('earlier.csv', halves.earlier)).toEqual({ accepted: 0, duplicates: cut });
    await checkCounts(occupancy, lines, random);
    expect((await occupancy.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });
});
