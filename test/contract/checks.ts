/** Chapter: what a system holds records against beyond their declaration, on every path into the stream. */
import { describe, expect } from 'vitest';
import type { AskedQuestion } from '../../src/engine/question.ts';
import type { RecordCheck, RecordToJudge } from '../../src/engine/record-check.ts';
import type { File } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import {
  delivery,
  fileContent,
  onFreshStore,
  rule,
  type StoreUnderTest,
  scratchDirectory,
  type Trial,
  verdictsOf,
} from './harness.ts';

const parcels = defineStream('parcels', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text' },
    at: { type: 'timestamp', required: true },
    kind: { type: 'text', required: true },
    size: { type: 'integer', required: true },
    label: { type: 'json' },
  },
  rollups: { daily: { every: 'day', by: ['kind'], sum: ['size'] } },
  lookups: ['kind', 'size'],
  future_tolerance: '1 hour',
});
const remarks = defineStream('remarks', {
  id: 'id',
  fields: { id: { type: 'text', required: true }, said: { type: 'text', required: true } },
});

const at = '2026-10-05T05:00:00Z';
const parcel = (id: string | undefined, kind: string, size: unknown, more: object = {}) => ({
  ...(id === undefined ? {} : { id }),
  at,
  kind,
  size,
  ...more,
});

/** Boxes are at most 10, and remarked on from 5; of all else it asks nothing, but from `strict`. */
class SizeCheck implements RecordCheck {
  readonly kind = ['kind'];
  readonly fields = ['size', 'label'];
  readonly notes = remarks;
  most = 10;
  readonly judged: RecordToJudge[] = [];

  concernedWith(source: string) {
    return source === 'strict' ? undefined : source === 'free' ? [] : [['box']];
  }

  judge(records: readonly RecordToJudge[], source: string) {
    this.judged.push(...records);
    return records.map(({ id, kind: [kind], values: [size] }) => {
      if (kind !== 'box')
        return source === 'strict'
          ? { refused: { code: 'unknown_type' as const, message: `no ${kind}` } }
          : undefined;
      if (Number(size) > this.most)
        return {
          refused: { code: 'schema_violation' as const, field: 'size', message: `size is "${size}"` },
        };
      return Number(size) >= 5 ? { note: JSON.stringify({ id, said: `${size} is large` }) } : undefined;
    });
  }
}

const kept = async (trial: Trial) =>
  (await trial.entries(parcels, { standing: true })).map(
    ({ id, values }) => `${id} ${values[2]} ${values[3]}`,
  );
const said = async (trial: Trial) =>
  (await trial.entries(remarks, { standing: true })).map(({ id, values }) => `${id}: ${values[1]}`);

export function checksChapter(under: StoreUnderTest): void {
  const { write } = scratchDirectory();
  describe('checks', () => {
    rule(under, 'what a check refuses is a reject, what it remarks on is taken in and noted', () =>
      onFreshStore(under, [parcels, remarks], async (trial) => {
        const check = new SizeCheck();
        const sent = [
          parcel('a', 'box', 11),
          parcel('b', 'box', 5, { label: { weight: 1.5 } }),
          parcel('c', 'box', 4),
          parcel('d', 'tube', 100),
          parcel('e', 'box', 'x'),
          '{"id":"f", "at":"2026-10-05T07:30:00Z", "kind":"box", "size":11}',
        ];
        const receipt = await trial.send('insert', parcels, sent, { check });
        expect(verdictsOf(receipt)).toEqual([
          'rejected schema_violation size',
          'accepted',
          'accepted',
          'accepted',
          'rejected invalid_value size',
          'rejected in_future at',
        ]);
        expect(receipt.verdicts[0]).toMatchObject({ id: 'a', message: 'size is "11"' });
        // Records that are refused for another reason, or of another kind, it is not asked about.
        expect(check.judged.slice(0, 3)).toEqual([
          { id: 'a', kind: ['box'], values: ['11', null] },
          { id: 'b', kind: ['box'], values: ['5', '{"weight":1.5}'] },
          { id: 'c', kind: ['box'], values: ['4', null] },
        ]);
        expect(await kept(trial)).toEqual(['b box 5', 'c box 4', 'd tube 100']);
        expect(await said(trial)).toEqual(['b: 5 is large']);
        expect((await trial.rejects())[0]).toMatchObject({
          code: 'schema_violation',
          field: 'size',
          message: 'size is "11"',
          record_id: 'a',
          index: '0',
          original: JSON.stringify(sent[0]),
        });
        expect(await trial.rows(parcels, { measures: ['sum(size)', 'count'] })).toEqual([['109', 3]]);
        await trial.verified();
      }),
    );

    rule(under, 'a check may be concerned with nothing or with everything of a source', () =>
      onFreshStore(under, [parcels, remarks], async (trial) => {
        const check = new SizeCheck();
        await trial.send('insert', parcels, [parcel('a', 'box', 11)], { check, source: 'free' });
        expect(check.judged).toEqual([]);
        const strict = [parcel('b', 'box', 1), parcel('c', 'tube', 1)];
        const receipt = await trial.send('insert', parcels, strict, { check, source: 'strict' });
        expect(verdictsOf(receipt)).toEqual(['accepted', 'rejected unknown_type']);
        expect(new Set(check.judged.map(({ id }) => id))).toEqual(new Set(['b', 'c']));
        // A store may ask about a record more than once.
        const judged = check.judged.length;
        await trial.send('retract', parcels, ['"a"'], { check, source: 'strict' });
        expect(check.judged).toHaveLength(judged);
        expect(await kept(trial)).toEqual(['b box 1']);
      }),
    );

    rule(under, 'what is known already or in conflict is not noted again', () =>
      onFreshStore(under, [parcels, remarks], async (trial) => {
        const check = new SizeCheck();
        await trial.send('insert', parcels, [parcel('a', 'box', 5), parcel('b', 'box', 1)], { check });
        const again = [parcel('a', 'box', 5), parcel('b', 'box', 6), parcel('c', 'box', 7)];
        const receipt = await trial.send('insert', parcels, again, { check });
        expect(verdictsOf(receipt)).toEqual(['duplicate', 'conflict', 'accepted']);
        expect(await said(trial)).toEqual(['a: 5 is large', 'c: 7 is large']);
        await trial.send('upsert', parcels, [parcel('a', 'box', 8), parcel('b', 'box', 12)], { check });
        expect(await said(trial)).toEqual(['c: 7 is large', 'a: 8 is large']);
        expect(await kept(trial)).toEqual(['b box 1', 'c box 7', 'a box 8']);
      }),
    );

    rule(under, 'a reject passes when the check does, and counts once', () =>
      onFreshStore(under, [parcels, remarks], async (trial) => {
        const check = new SizeCheck();
        const sent = [parcel('a', 'box', 11), parcel('a', 'box', 11), parcel('b', 'box', 13)];
        await trial.send('insert', parcels, sent, { check });
        const replay = async () => {
          const rejects = await trial.rejects();
          const texts = rejects.map(({ original }) => original!);
          return trial.send('insert', parcels, texts, { check, replays: rejects.map(({ id }) => id!) });
        };
        expect(await replay()).toMatchObject({ rejected: 3 });
        expect(await trial.rejects()).toHaveLength(3);
        check.most = 12;
        expect(await replay()).toMatchObject({ accepted: 1, duplicates: 1, rejected: 1 });
        expect((await trial.rejects()).map(({ record_id }) => record_id)).toEqual(['b']);
        expect(await kept(trial)).toEqual(['a box 11']);
        expect(await said(trial)).toEqual(['a: 11 is large']);
      }),
    );

    const records = [
      parcel('a', 'box', 11),
      parcel(undefined, 'box', 5),
      parcel('c', 'box', 4),
      parcel('d', 'tube', 100),
      parcel('f', 'box', 'x'),
      parcel('a', 'box', 6),
    ];
    const files: [name: string, text: string, format: File['format'], original: string][] = [
      [
        'lines.ndjson',
        records.map((record) => JSON.stringify(record)).join('\n'),
        'ndjson',
        JSON.stringify(records[0]),
      ],
      [
        'cells.csv',
        ['id,at,kind,size', ...records.map(({ id, kind, size }) => [id, at, kind, size].join(','))].join(
          '\n',
        ),
        'csv',
        JSON.stringify({ id: 'a', at, kind: 'box', size: '11' }),
      ],
    ];
    for (const [name, text, format, original] of files) {
      rule(under, `a file is held against a check, too: ${name}`, () =>
        onFreshStore(under, [parcels, remarks], async (trial) => {
          const content = fileContent(write(name, text), { format });
          const check = new SizeCheck();
          const [receipt] = await trial.publish(delivery(parcels, 'insert', [], { content, check }));
          expect(verdictsOf(receipt!)).toEqual([
            'rejected schema_violation size',
            'accepted',
            'accepted',
            'accepted',
            'rejected invalid_value size',
            'accepted',
          ]);
          expect(await kept(trial)).toEqual(['file:2 box 5', 'c box 4', 'd tube 100', 'a box 6']);
          expect(await said(trial)).toEqual(['file:2: 5 is large', 'a: 6 is large']);
          const [reject] = await trial.rejects();
          expect(reject).toMatchObject({
            code: 'schema_violation',
            field: 'size',
            record_id: 'a',
            index: '0',
          });
          const named = Object.entries(JSON.parse(reject!.original!) as object);
          expect(Object.fromEntries(named.filter(([, value]) => value !== null))).toEqual(
            JSON.parse(original),
          );
          const [again] = await trial.publish(delivery(parcels, 'insert', [], { content, check }));
          expect(again).toMatchObject({ accepted: 0, duplicates: 4, rejected: 2 });
          expect(await trial.entries(remarks)).toHaveLength(2);
          await trial.verified();
        }),
      );
    }

    rule(
      under,
      'records are found by a field that they are looked up by, whatever stands and in either order',
      () =>
        onFreshStore(under, [parcels], async (trial) => {
          const kinds = ['box', 'tube', 'box', 'bag', 'box'];
          for (const [i, kind] of kinds.entries()) await trial.insert(parcels, parcel(`p${i}`, kind, i));
          await trial.upsert(parcels, parcel('p2', 'tube', 2));
          await trial.retract(parcels, 'p0');
          const of = async (where: NonNullable<AskedQuestion['where']>, given: object = {}) =>
            (await trial.entries(parcels, { standing: true, asked: { where }, ...given })).map(
              ({ id }) => id,
            );
          expect(await of({ kind: 'box' })).toEqual(['p4']);
          expect(await of({ kind: ['tube', 'bag'] })).toEqual(['p1', 'p3', 'p2']);
          expect(await of({ kind: ['tube', 'bag'] }, { newestFirst: true })).toEqual(['p2', 'p3', 'p1']);
          expect(await of({ kind: 'tube', size: 2 })).toEqual(['p2']);
          expect(await of({ size: '2.0' })).toEqual(['p2']);
          expect(await of({ kind: { in: [] } })).toEqual([]);
          expect(await of({ kind: 'none' })).toEqual([]);
          const [first] = await trial.entries(parcels, {
            standing: true,
            asked: { where: { kind: 'tube' } },
          });
          expect(await of({ kind: 'tube' }, { after: first!.seq })).toEqual(['p2']);
          expect(await of({ kind: 'tube' }, { after: first!.seq, newestFirst: true })).toEqual([]);
          for (const [kind, count, sum] of [
            ['box', 1, '4'],
            ['tube', 2, '3'],
            ['none', 0, '0'],
          ] as const) {
            const asked = { measures: ['sum(size)', 'count'], where: { kind } };
            expect(await trial.rows(parcels, asked, 'ledger')).toEqual([[sum, count]]);
          }
        }),
    );

    rule(under, 'entries are listed by who sent them', () =>
      onFreshStore(under, [parcels], async (trial) => {
        await trial.send('insert', parcels, [parcel('a', 'box', 1)], { source: 'shop' });
        await trial.send('insert', parcels, [parcel('b', 'box', 1)], { source: 'till' });
        await trial.send('insert', parcels, [parcel('c', 'box', 1)], { source: 'shop' });
        const of = async (source: string, newestFirst = false) =>
          (await trial.entries(parcels, { standing: true, source, newestFirst })).map(({ id }) => id);
        expect(await of('shop')).toEqual(['a', 'c']);
        expect(await of('shop', true)).toEqual(['c', 'a']);
        expect(await of('nobody')).toEqual([]);
      }),
    );
  });
}
