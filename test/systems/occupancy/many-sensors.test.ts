/**
 * More sensors than are asked by their names (5,000): time is cut where stretches begin and end, and each slice is asked
 * once, of all sensors. Counts must be those of a naive walk over the few passages there are.
 */
import { describe, expect, test, vi } from 'vitest';
import { parseTimestamp } from '../../../src/engine/calendar.ts';
import { lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { openOccupancy, passage } from './opened.ts';

const sensors = 10_400;
const moved = '2026-10-03T00:00:00Z';
const resetAt = '2026-10-05T06:00:00Z';
const instant = (text: string) => parseTimestamp(text)!;
const at = (day: number, time = '10:00:00') => `2026-10-0${day}T${time}Z`;
/** All face A, every second one has B behind it, the others the outside. From the 3rd on every tenth one faces C. */
const behindOf = (dpu: number) => (dpu % 2 === 0 ? 'B' : null);
const facesOf = (dpu: number, ts: string) => (dpu % 10 === 0 && ts >= moved ? 'C' : 'A');
// biome-ignore format: one line each
const passages: [dpu: number, direction: 1 | -1, ts: string][] = [
  [1, 1, at(1)], [2, 1, at(1)], [5_200, 1, at(2)], [10, 1, at(2)], [5_199, -1, at(2, '23:59:59')],
  [10, 1, moved], [20, 1, at(3)], [5_190, -1, at(4)], [3_333, 1, at(4)],
  [4_444, 1, resetAt], [4_444, 1, at(5, '06:00:01')], [5_001, 1, at(5)], [7, -1, at(6)], [100, 1, at(6)],
];

/** `reset`: B is set to 50 then. */
function recounted(ts: string, reset: boolean): Record<string, number> {
  const counts: Record<string, number> = { A: 0, B: reset && ts >= resetAt ? 50 : 0, C: 0 };
  const step = (space: string | null, by: number, when: string) => {
    if (space === null || (space === 'B' && reset && ts >= resetAt && when <= resetAt)) return;
    counts[space]! += by;
  };
  for (const [dpu, direction, when] of passages) {
    if (when > ts) continue;
    step(facesOf(dpu, when), direction, when);
    step(behindOf(dpu), -direction, when);
  }
  return counts;
}

describe.each(storeKinds)(`counts by ${sensors} sensors, %s`, (kind) => {
  test('each slice of time is asked once, of all of them', async () => {
    const { done, count, tallybook } = await openOccupancy(kind);
    await done('POST', '/v1/spaces', [{ id: 'A' }, { id: 'B' }, { id: 'C' }]);
    const hung = Array.from({ length: sensors }, (_, n) => n + 1).flatMap((dpu_id) => {
      const one = { id: `${dpu_id}`, dpu_id, faces: 'A', behind: behindOf(dpu_id) };
      return dpu_id % 10 === 0 ? [one, { ...one, id: `${dpu_id}-moved`, faces: 'C', from: moved }] : [one];
    });
    expect(await done('POST', '/v1/assignments', lines(hung), ndjson)).toMatchObject({
      accepted: sensors + sensors / 10,
    });
    await done('POST', '/v1/spaces/B/resets', { ts: resetAt, count: 50 });
    await done(
      'POST',
      '/v1/passages',
      passages.map(([dpu, direction, ts]) => passage(dpu, direction, ts)),
    );
    const sums = vi.spyOn(tallybook, 'sums');
    for (const ts of [at(1), at(2), moved, at(4), resetAt, at(5), at(6), '2026-11-01T00:00:00Z'])
      for (const calibrated of [true, false]) {
        const { spaces } = await done('GET', `/v1/spaces/counts?ts=${ts}&calibrated=${calibrated}`);
        const counted = Object.fromEntries(
          spaces.map((row: { space_id: string; count: number }) => [row.space_id, row.count]),
        );
        expect(counted, `${ts}, calibrated=${calibrated}`).toEqual(recounted(ts, calibrated));
        expect(await count('B', ts, `&calibrated=${calibrated}`)).toBe(counted.B);
      }
    // Of all spaces: sensors without names, in slices that follow each other.
    const [, { stretches }] = sums.mock.calls.at(-2)!;
    const slices = stretches.filter((stretch) => !('keys' in stretch) || stretch.keys === undefined);
    expect(slices.length).toBeGreaterThan(0);
    expect(slices.slice(1).map(({ from }) => from)).toEqual(slices.slice(0, -1).map(({ to }) => to));
    // What those that were moved saw since the reset is among the slices: only what was before is asked by their names.
    const [, calibrated] = sums.mock.calls.at(-4)!;
    const named = calibrated.stretches.filter(({ keys }) => keys !== undefined);
    const afterReset = instant(resetAt) + 1n;
    expect(named.map(({ from, to }) => [from, to])).toEqual([
      [undefined, instant(moved)],
      [instant(moved), afterReset],
    ]);
    expect(recounted(at(6), true)).toEqual({ A: 6, B: 48, C: 2 });
  });
});
