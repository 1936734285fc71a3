/** Chapter: a field may have any name that a declaration allows, also one that a store uses itself. */
import { expect } from 'vitest';
import type { FieldDeclaration } from '../../src/engine/field-types.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { onFreshStore, rule, type StoreUnderTest, type Trial, verdictsOf } from './harness.ts';

export function fieldNamesChapter(under: StoreUnderTest): void {
  rule(under, 'a field may have any name', () => onFreshStore(under, [named], anyNames));
}

/** Words that a store may use itself, for its columns, tables and statements. */
const words = [
  ...[
    'n',
    'e',
    't',
    'r',
    's',
    'k',
    'b',
    'f',
    'j',
    'l',
    'r0',
    't0',
    'v0',
    'd0',
    'm0',
    's0_0',
    'k0',
    'column0',
    'rowid',
    'id',
  ],
  ...[
    'line',
    'lines',
    'fallback',
    'names',
    'unreadable',
    'bad',
    'bad2',
    'found',
    'number',
    'code',
    'field',
    'message',
  ],
  ...[
    'seq',
    'batch',
    'sign',
    'reverses',
    'source',
    'import',
    'reason',
    'hash',
    'verdict',
    'known',
    'standing',
    'records',
  ],
  ...[
    'prev_n',
    'prev_seq',
    'first_n',
    'before_n',
    'changed_n',
    'standing_seq',
    'bucket',
    'dropped',
    'stage',
    'entries',
  ],
  ...[
    'select',
    'from',
    'where',
    'group',
    'order',
    'by',
    'index',
    'key',
    'value',
    'values',
    'table',
    'row',
    'null',
    'true',
  ],
  ...[
    'date',
    'time',
    'timestamp',
    'text',
    'json',
    'uuid',
    'sum',
    'min',
    'max',
    'avg',
    'lag',
    'list',
    'user',
    'constructor',
  ],
];
const named = defineStream('select', {
  id: 'rowid',
  time: 'timestamp',
  fields: Object.fromEntries(
    words.map((word): [string, FieldDeclaration] => {
      if (word === 'rowid') return [word, { type: 'text' }];
      return word === 'timestamp'
        ? [word, { type: 'timestamp', required: true }]
        : [word, { type: 'integer' }];
    }),
  ),
  rollups: { entries: { every: 'day', by: ['n', 'e', 'bucket', 'select'], sum: words.slice(2, 18) } },
});

async function anyNames(trial: Trial): Promise<void> {
  const record = (add: number) =>
    Object.fromEntries(
      words.map((word, n) => [
        word,
        word === 'rowid' ? 'a' : word === 'timestamp' ? '2026-10-01T10:00:00Z' : n + add,
      ]),
    );
  const receipt = await trial.insert(named, record(0), record(0), record(1), { ...record(2), rowid: null });
  expect(verdictsOf(receipt)).toEqual(['accepted', 'duplicate', 'conflict', 'accepted']);
  expect(verdictsOf(await trial.upsert(named, record(0), record(3), record(3)))).toEqual([
    'duplicate',
    'corrected',
    'duplicate',
  ]);
  const measures = ['count', ...words.slice(2, 18).map((word) => `sum(${word})`)];
  const sums = words.slice(2, 18).map((_, n) => String(2 * (n + 2) + 5));
  for (const of of ['planned', 'ledger'] as const) {
    expect(await trial.rows(named, { measures }, of)).toEqual([[2, ...sums]]);
    const split = {
      by: ['n', 'e', 'bucket', 'select'],
      where: { bucket: { gt: 0 } },
      every: 'day' as const,
      order: ['-select', 'n'],
    };
    expect((await trial.rows(named, split, of)).map((row) => row.slice(-2))).toEqual([
      ['2026-10-01', 1],
      ['2026-10-01', 1],
    ]);
  }
  const rest = words.filter((word) => word !== 'rowid' && word !== 'timestamp');
  expect(await trial.rows(named, { measures: rest.slice(0, 50).map((word) => `min(${word})`) })).toEqual([
    rest.slice(0, 50).map((word) => String(words.indexOf(word) + 2)),
  ]);
  expect((await trial.entries(named, { standing: true })).map(({ id, values }) => [id, values[0]])).toEqual([
    ['test-3', '2'],
    ['a', '3'],
  ]);
  expect((await trial.store.fate(named, 'a')).lines).toHaveLength(6);
  await trial.retract(named, 'a', 'test-3');
  expect(await trial.rows(named, { measures })).toEqual([[0, ...sums.map(() => '0')]]);
  await trial.verified();
}
