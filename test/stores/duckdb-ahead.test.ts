/**
 * Large batches are staged before it is their turn to be published. Whatever happens between, they are published in the
 * order of the calls, and by what holds when they are.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { Mode, Store, TextDelivery } from '../../src/engine/store.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { delivery as oneOf } from '../contract/harness.ts';

const root = mkdtempSync(join(tmpdir(), 'tallybook-ahead-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fields = {
  id: { type: 'text', required: true },
  at: { type: 'timestamp', required: true },
  taken: { type: 'integer', required: true },
} as const;
const daily = { every: 'day' as const, sum: ['taken' as const] };
const steps = defineStream('steps', { id: 'id', time: 'at', fields, rollups: { daily } });
const others = defineStream('others', { id: 'id', time: 'at', fields, rollups: { daily } });

const many = 400;
let store: Store;
beforeEach(async () => {
  const directory = mkdtempSync(join(root, 'ledger-'));
  store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 1 });
  await store.prepare([...builtInStreams, steps, others]);
  onTestFinished(() => store.close());
});

const idsFrom = (first: number, count = many) => Array.from({ length: count }, (_, n) => `r${first + n}`);

function records(
  ids: readonly string[],
  taken: number,
  { mode = 'upsert' as Mode, stream = steps, at = '2026-10-05T06:00:00Z' } = {},
): TextDelivery {
  const made = oneOf(
    stream,
    mode,
    ids.map((id) => ({ id, at, taken })),
  );
  return { ...made, allVerdicts: false } as TextDelivery;
}

async function sums(stream: Stream = steps): Promise<(string | number | null)[]> {
  const question = checkQuestion(stream, { measures: ['count', 'sum(taken)'] });
  const none = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  const answer = await store.ask(planQuestion(stream, question, none));
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
  return answer.rows[0]!.map((value) => (value === null ? null : Number(value)));
}

test('batches that follow each other correct each other in the order of the calls', async () => {
  const answers = await Promise.all([
    store.publish([records(idsFrom(0), 1)]),
    store.publish([records(idsFrom(100), 2)]),
    // Small ones, which could be taken into the journal, have to wait for what is on its way.
    store.publish([records(idsFrom(150, 20), 3)]),
    store.publish([records(idsFrom(0), 4), records(idsFrom(0, 10), 4, { stream: others })]),
    store.publish([records(idsFrom(1_000, 20), 5)]),
  ]);
  expect(answers.flat().map(({ accepted, corrected }) => [accepted, corrected])).toEqual([
    [400, 0],
    [100, 300],
    [0, 20],
    [0, 400],
    [10, 0],
    [20, 0],
  ]);
  expect(await sums()).toEqual([520, 400 * 4 + 100 * 2 + 20 * 5]);
  expect(await sums(others)).toEqual([10, 40]);
  const { lines } = await store.fate(steps, 'r160');
  expect(lines.map(({ verdict, values }) => [verdict, values?.at(-1)])).toEqual([
    ['accepted', '1'],
    ['corrected', '2'],
    ['corrected', '3'],
    ['corrected', '4'],
  ]);
});

test('what is staged is told when the next may come, and not of what is not', async () => {
  const told: string[] = [];
  await store.publish([records(idsFrom(0), 1)], () => told.push('large'));
  await store.publish([records(idsFrom(0, 10), 1)], () => told.push('small'));
  await store.publish([records(idsFrom(0), 1), records(idsFrom(0), 1, { stream: others })], () =>
    told.push('of two streams'),
  );
  expect(told).toEqual(['large']);
});

test('a batch that is refused in the end leaves nothing for the next one', async () => {
  const first = store.publish([{ ...records(idsFrom(0), 1, { mode: 'insert' }), mustBeNew: true }]);
  const second = store.publish([{ ...records(idsFrom(0), 1, { mode: 'insert' }), mustBeNew: true }]);
  await first;
  await expect(second).rejects.toMatchObject({ code: 'superseded' });
  for (let n = 1; n <= 3; n++) await store.publish([records(idsFrom(n * 1_000), 2)]);
  expect(await sums()).toEqual([1_600, 400 + 1_200 * 2]);
});

test('a stream that got fields and a rollup meanwhile has them of what was staged', async () => {
  const changed = defineStream('steps', {
    id: 'id',
    time: 'at',
    fields: { ...fields, place: { type: 'text', default: 'here' } },
    rollups: { daily, places: { every: 'all', by: ['place'], sum: ['taken'] } },
  });
  await store.publish([records(idsFrom(0), 1)]);
  const changing = store.prepare([changed]);
  await Promise.all([changing, store.publish([records(idsFrom(200), 2)])]);
  await store.publish([records(idsFrom(1_000), 3, { stream: changed })]);
  expect(await sums(changed)).toEqual([1_000, 200 + 400 * 2 + 400 * 3]);
  const question = checkQuestion(changed, { measures: ['count'], by: ['place'] });
  const none = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  const answer = await store.ask(planQuestion(changed, question, none));
  expect(answer.rows.map(([place, count]) => [place, Number(count)])).toEqual(
    expect.arrayContaining([['here', 800]]),
  );
});

test('what retention has dropped meanwhile is not taken in again', async () => {
  const dated = (at: string, first: number) => records(idsFrom(first), 1, { at });
  await store.publish([dated('2026-10-05T06:00:00Z', 0)]);
  const before = BigInt(Date.UTC(2026, 9, 6)) * 1_000n;
  const dropping = store.tend({ drop: [{ stream: steps, before }], compact: false });
  const [late, [receipt]] = await Promise.all([
    dropping,
    store.publish([dated('2026-10-05T07:00:00Z', 500)]),
  ]);
  expect(late.dropped).toBe(many);
  expect(receipt).toMatchObject({ accepted: 0, rejected: many });
  expect(receipt!.verdicts[0]).toMatchObject({ code: 'too_old' });
});
