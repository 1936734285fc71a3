/** `tallybook occupancy`: a plan in YAML and JSON, files of passages in any order, counts; killed half-way. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { done, failure, file, json, scratch, start } from './harness.ts';

const plan = `
# A hall, and a room behind it.
spaces:
  - {id: hall, tz: Europe/Madrid, capacity: 10}
  - {id: room}
doorways:
  - {id: X, one_side: hall}
  - {id: Z, one_side: hall, other_side: room}
assignments:
  - {dpu_id: 9007199254740993, doorway_id: X, faces: hall, from: 2018-01-01}
  - {dpu_id: 423, doorway_id: Z, faces: hall, from: 2018-01-01T00:00:00Z}
`;
const header = '"timestamp","direction","dpu_id"';
/** Every minute somebody comes in from outside, every third time goes on into the room; every line is there twice. */
const lines = Array.from({ length: 600 }, (_, n) => {
  const at = new Date(Date.UTC(2018, 1, 24) + Math.floor(n / 2) * 60_000).toISOString();
  return Math.floor(n / 2) % 3 === 2 ? `"${at}","-1",423` : `${at},1,"9007199254740993"`;
});
const csv = (some: string[]): string => `${[header, ...some].join('\n')}\n`;

interface Counts {
  spaces: { space_id: string; count: number }[];
}
const at = ['--ts', '2018-02-24T04:59:00Z'];

async function counted(data: string): Promise<(string | number)[][]> {
  const { spaces } = await json<Counts>(['occupancy', 'counts', ...at, '--data', data]);
  return spaces.map(({ space_id, count }) => [space_id, count]);
}
const right = [
  ['hall', 200],
  ['room', 200],
];

describe('occupancy', () => {
  test('halves of a file in the wrong order, and one of them twice, give the same as the file', async () => {
    const directory = scratch();
    const yaml = file(directory, 'plan.yaml', plan);
    const [first, second] = [csv(lines.slice(0, 300)), csv(lines.slice(300))];
    const halves = [file(directory, 'second.csv', second), file(directory, 'first.csv', first)];
    const data = join(directory, 'halves');
    expect(await done(['occupancy', 'plan', yaml, '--data', data])).toMatch(/^spaces +2 +0 +0$/m);
    await done(['occupancy', 'import', ...halves, halves[1]!, '--data', data]);
    expect(await counted(data)).toEqual(right);
    const shown = await done(['occupancy', 'counts', ...at, '--data', data]);
    expect(shown).toMatch(/^hall +- +200 +10 +2000$/m);
    expect(await done(['occupancy', 'plan', yaml, '--data', data])).toMatch(/^assignments +0 +0 +2$/m);
  });

  test('killed half-way, an import leaves nothing, and counts once when it is done again', async () => {
    const directory = scratch();
    const data = join(directory, 'data');
    await done(['occupancy', 'plan', file(directory, 'plan.yaml', plan), '--data', data]);
    const all = file(directory, 'all.csv', csv(lines));
    const running = start(['occupancy', 'import', all, '--data', data]);
    await running.says(/all\.csv …/);
    running.kill('SIGKILL');
    await running.ended;
    for (let n = 0; n < 2; n++) await done(['occupancy', 'import', all, '--data', data]);
    expect(await counted(data)).toEqual(right);
  });

  test('a plan in JSON; one that is neither, and one that does not fit, are refused', async () => {
    const directory = scratch();
    const data = join(directory, 'data');
    const good = file(directory, 'plan.json', JSON.stringify({ spaces: [{ id: 'A' }] }));
    expect(await json(['occupancy', 'plan', good, '--data', data])).toMatchObject({
      spaces: { accepted: 1 },
    });
    const refused = async (text: string) =>
      (await failure(['occupancy', 'plan', file(directory, 'bad.yaml', text), '--data', data])).detail;
    expect(await refused('spaces: [{id: A')).toContain('is neither YAML nor JSON');
    expect(await refused('- 1')).toContain('holds no plan');
    expect(await refused('a: &a [x]\nspaces: [*a, *a]')).toContain('is neither YAML nor JSON');
    expect(await refused('assignments: [{dpu_id: 1, faces: Q}]')).toContain('it faces Q, which is no space');
  });
});
