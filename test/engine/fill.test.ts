import { expect, test } from 'vitest';
import { askFilled } from '../../src/engine/fill.ts';
import { type Plan, planQuestion } from '../../src/engine/plan.ts';
import { type AskedQuestion, checkQuestion } from '../../src/engine/question.ts';
import type { Answer } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { openMemoryStore } from '../../src/stores/memory/index.ts';

const stream = defineStream('sales', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    n: { type: 'integer' },
  },
});

async function filled(
  asked: AskedQuestion,
  records: [at: string, customer: string | null, n: number | string | null][],
): Promise<Answer> {
  const store = openMemoryStore();
  await store.prepare([stream]);
  const texts = records.map(([at, customer, n], id) => JSON.stringify({ id: String(id), at, customer, n }));
  const content = { kind: 'texts' as const, texts, fallbackIds: texts.map(() => '') };
  if (texts.length > 0)
    await store.publish([
      { stream, mode: 'insert', source: 't', reason: undefined, content, allVerdicts: false },
    ]);
  const state = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  const plan = planQuestion(stream, checkQuestion(stream, { fill: 'zero', ...asked }), state);
  return askFilled(plan, (asked: Plan) => store.ask(asked));
}

const october = {
  every: 'day',
  from: '2026-10-05',
  to: '2026-10-08',
  measures: ['sum(n)', 'count', 'avg(n)', 'count_distinct(n)'],
} as const;
const of = (asked: object): AskedQuestion => ({ ...october, measures: [...october.measures], ...asked });

test('with nothing at all there is still every bucket, where the question does not split', async () => {
  expect((await filled(of({}), [])).rows).toEqual([
    ['2026-10-05', '0', 0, null, 0],
    ['2026-10-06', '0', 0, null, 0],
    ['2026-10-07', '0', 0, null, 0],
  ]);
  expect((await filled(of({ by: ['customer'] }), [])).rows).toEqual([]);
});

test('every bucket for each combination that was seen; null is one of them', async () => {
  const { rows, more } = await filled(of({ by: ['customer'], measures: ['sum(n)'] }), [
    ['2026-10-06T01:00:00Z', 'b', 2],
    ['2026-10-05T01:00:00Z', null, 3],
    ['2026-10-09T01:00:00Z', 'outside', 3],
  ]);
  expect(more).toBe(false);
  expect(rows).toEqual([
    ['b', '2026-10-05', '0'],
    [null, '2026-10-05', '3'],
    ['b', '2026-10-06', '2'],
    [null, '2026-10-06', '0'],
    ['b', '2026-10-07', '0'],
    [null, '2026-10-07', '0'],
  ]);
});

test('order, having and limit see the added rows', async () => {
  const records: [string, string, string][] = [
    ['2026-10-05T01:00:00Z', 'a', '-9007199254740993'],
    ['2026-10-06T01:00:00Z', 'a', '9007199254740993'],
    ['2026-10-06T02:00:00Z', 'z', '9007199254740992'],
  ];
  const descending = await filled(
    of({ by: ['customer'], measures: ['sum(n)'], order: ['-sum(n)'], limit: 3 }),
    records,
  );
  expect(descending.rows).toEqual([
    ['a', '2026-10-06', '9007199254740993'],
    ['z', '2026-10-06', '9007199254740992'],
    ['z', '2026-10-05', '0'],
  ]);
  expect(descending.more).toBe(true);
  const empty = await filled(
    of({ by: ['customer'], measures: ['count'], having: { count: 0 }, order: ['-customer'] }),
    records,
  );
  expect(empty.rows).toEqual([
    ['z', '2026-10-05', 0],
    ['z', '2026-10-07', 0],
    ['a', '2026-10-07', 0],
  ]);
  const largest = await filled(
    of({ measures: ['max(n)'], order: ['-max(n)'], having: { 'max(n)': { ne: 5 } } }),
    records,
  );
  expect(largest.rows.map(([day]) => day)).toEqual(['2026-10-06', '2026-10-05', '2026-10-07']);
});

test('the hours of a day on which the clocks go back', async () => {
  const { rows } = await filled(
    { every: 'hour', tz: 'Europe/Madrid', from: '2026-10-25', to: '2026-10-26', measures: ['count'] },
    [['2026-10-25T01:30:00Z', 'a', 1]],
  );
  expect(rows).toHaveLength(25);
  expect(rows.slice(1, 5)).toEqual([
    ['2026-10-25T01:00:00+02:00', 0],
    ['2026-10-25T02:00:00+02:00', 0],
    ['2026-10-25T02:00:00+01:00', 1],
    ['2026-10-25T03:00:00+01:00', 0],
  ]);
});

test('text is ordered by code points, as in a store', async () => {
  const names = ['\u{1F600}', '\uFFEE', 'z', 'é'];
  const { rows } = await filled(
    of({ by: ['customer'], measures: ['count'], to: '2026-10-06', order: ['customer'] }),
    names.map((name) => ['2026-10-05T01:00:00Z', name, 1]),
  );
  expect(rows.map(([name]) => name)).toEqual(['z', 'é', '\uFFEE', '\u{1F600}']);
});

test('too many buckets are refused with what to change', async () => {
  await expect(filled({ every: 'minute', from: '2026-01-01', to: '2027-01-01' }, [])).rejects.toMatchObject({
    code: 'bad_question',
    message: expect.stringContaining('longer buckets'),
  });
  await expect(
    filled({ every: 'minute', from: '2026-10-01', to: '2026-12-31', by: ['customer'] }, [
      ['2026-10-05T01:00:00Z', 'a', 1],
      ['2026-10-05T01:00:00Z', 'b', 1],
    ]),
  ).rejects.toMatchObject({ code: 'bad_question', message: expect.stringContaining('2 combinations') });
});
