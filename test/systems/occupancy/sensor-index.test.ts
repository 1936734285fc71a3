/** Sensors are found by their numbers, however those lie. */
import { expect, test } from 'vitest';
import { SensorIndex } from '../../../src/systems/occupancy/sensor-index.ts';

const numbered: Record<string, bigint[]> = {
  'one after the other': [3n, 1n, 2n, 4n, 5n],
  'from nought': [0n, 1n, 2n],
  'one alone': [77n],
  'far apart': [5n, 4_000_000n, 90_000_000n],
  'up to the last of a word': [2n ** 31n - 2n, 2n ** 31n - 1n],
  'beyond a word': [2n ** 31n, 2n ** 31n + 1n, 2n ** 32n, 2n ** 32n + 1n],
  'below nought': [-3n, -2n, -1n, 0n, 1n],
  'as far as they go': [-(2n ** 63n), 2n ** 63n - 1n, 0n],
};

for (const [name, ids] of Object.entries(numbered))
  test(`ids ${name} have their slots, and their neighbours none`, () => {
    const index = new SensorIndex(ids.map(String));
    const slotOf = (id: bigint) => index.slotOf(...wordsOf(id));
    expect(ids.map(slotOf)).toEqual([...ids.keys()]);
    const others = ids
      .flatMap((id) => [id - 1n, id + 1n, id + 2n ** 32n, id - 2n ** 32n])
      .filter((id) => !ids.includes(id) && BigInt.asIntN(64, id) === id);
    expect(others.length).toBeGreaterThan(0);
    expect(others.map(slotOf)).toEqual(others.map(() => -1));
  });

test('where there are no sensors, none is found', () => {
  expect([0n, 1n, -1n].map((id) => new SensorIndex([]).slotOf(...wordsOf(id)))).toEqual([-1, -1, -1]);
});

/** As they lie in a column: both signed. */
function wordsOf(id: bigint): [number, number] {
  const [low, high] = new Int32Array(BigInt64Array.of(id).buffer);
  return [low!, high!];
}
