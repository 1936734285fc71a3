/** Where ids may stand: ranges that are put together (src/stores/duckdb/id-filter.ts). */
import { expect, test } from 'vitest';
import { mergeRanges, rangesMax } from '../../src/stores/duckdb/id-filter.ts';

const range = (from: number, to: number) => ({ from: BigInt(from), to: BigInt(to) });

test('ranges that touch or overlap become one, in order', () => {
  const given = [range(50, 60), range(1, 10), range(11, 20), range(15, 18), range(22, 30)];
  expect(mergeRanges(given)).toEqual([range(1, 20), range(22, 30), range(50, 60)]);
  expect(mergeRanges([])).toEqual([]);
});

test('of too many, those with the least between them become one: what lies far apart stays apart', () => {
  const near = Array.from({ length: 3 * rangesMax }, (_, n) => range(10 * n, 10 * n + 5));
  const far = Array.from({ length: rangesMax - 1 }, (_, n) =>
    range((n + 1) * 100_000, (n + 1) * 100_000 + 1),
  );
  const last = near.at(-1)!.to;
  expect(mergeRanges([...far, ...near])).toEqual([{ from: 0n, to: last }, ...far]);
});

test('however many there are, all are within those that are left, and those are few', () => {
  const given = Array.from({ length: 500 }, (_, n) =>
    range(n * 1_000 + ((n * 7_919) % 900), n * 1_000 + 950),
  );
  const merged = mergeRanges(given);
  expect(merged).toHaveLength(rangesMax);
  for (const { from, to } of given)
    expect(merged.filter((one) => one.from <= from && to <= one.to)).toHaveLength(1);
});
