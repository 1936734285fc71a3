/** Chapter: what an import warns of, rows that get their ids from it, and an import that takes the place of another. */
import { describe, expect } from 'vitest';
import { makeForm } from '../../src/engine/forms.ts';
import type { File } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import {
  fileContent,
  onFreshStore,
  rule,
  type StoreUnderTest,
  scratchDirectory,
  type Trial,
} from './harness.ts';

const lines = defineStream('lines', {
  fields: {
    batch: { type: 'integer', required: true },
    song: { type: 'text', required: true },
    isrc: {
      type: 'text',
      normalize: 'code',
      max_length: 12,
      warn: { missing: true, pattern: '[A-Z]{2}[A-Z0-9]{3}[0-9]{7}' },
    },
    plays: { type: 'integer', warn: { missing: true } },
  },
  rollups: { songs: { every: 'all', by: ['batch', 'song'], sum: ['plays'] } },
});

export function warningsChapter(under: StoreUnderTest): void {
  const scratch = scratchDirectory();
  let files = 0;
  const take = async (
    trial: Trial,
    text: string,
    batch: number,
    given: Partial<File> = {},
  ): Promise<Receipt> => {
    const content = fileContent(scratch.write(`lines-${++files}.tsv`, text), {
      format: 'tsv',
      import: batch,
      idPrefix: String(batch),
      newIds: true,
      ...given,
    });
    const form = makeForm(lines, `of_${batch}`, { fixed: { batch } });
    const [receipt] = await trial.publish({
      stream: lines,
      form,
      mode: 'insert',
      source: 'loader',
      reason: undefined,
      content,
      allVerdicts: true,
    });
    return receipt!;
  };
  const header = 'song\tisrc\tplays';

  describe('warnings of imports', () => {
    rule(under, 'what a file lacks is taken in and counted', () =>
      onFreshStore(under, [lines], async (trial) => {
        const text = [
          header,
          'a\tse-abc-12-34567\t5',
          'b\t\t',
          'c\tSEABC123456\t1',
          '\t\t3',
          'd\tseabc1234567\tx',
          'e\tSEABC1234567890\t1',
          'f\t\t2',
        ].join('\n');
        const receipt = await take(trial, text, 1);
        expect(receipt).toMatchObject({
          received: 7,
          accepted: 4,
          rejected: 3,
          warnings: [
            { field: 'isrc', code: 'missing', count: 2 },
            { field: 'isrc', code: 'pattern_mismatch', count: 1 },
            { field: 'plays', code: 'missing', count: 1 },
          ],
        });
        const standing = await trial.entries(lines, { standing: true });
        expect(standing.map(({ id, values }) => [id, ...values])).toEqual([
          ['1:1', '1', 'a', 'SEABC1234567', '5'],
          ['1:2', '1', 'b', null, null],
          ['1:3', '1', 'c', 'SEABC123456', '1'],
          ['1:7', '1', 'f', null, '2'],
        ]);
        expect((await trial.rejects()).map(({ record_id, index, code }) => [record_id, index, code])).toEqual(
          [
            ['1:4', '3', 'missing_field'],
            ['1:5', '4', 'invalid_value'],
            ['1:6', '5', 'bad_length'],
          ],
        );
        expect(receipt.verdicts.map(({ id, verdict }) => `${id} ${verdict}`)).toEqual([
          '1:1 accepted',
          '1:2 accepted',
          '1:3 accepted',
          '1:4 rejected',
          '1:5 rejected',
          '1:6 rejected',
          '1:7 accepted',
        ]);
        await trial.verified();
      }),
    );

    rule(under, 'a code is compared and found as it is kept, however it is sent', () =>
      onFreshStore(under, [lines], async (trial) => {
        const record = { batch: 1, song: 'a', isrc: 'se-abc-12-34567', plays: 1 };
        await trial.insert(lines, record);
        expect(await trial.rows(lines, { by: ['isrc'] })).toEqual([['SEABC1234567', 1]]);
        expect(await trial.rows(lines, { where: { isrc: 'SEABC1234567' } })).toEqual([[1]]);
      }),
    );

    rule(under, 'a file takes the place of another import in one commit', () =>
      onFreshStore(under, [lines], async (trial) => {
        const first = await take(trial, `${header}\na\t\t5\nb\t\t7`, 1);
        expect(first.warnings).toEqual([{ field: 'isrc', code: 'missing', count: 2 }]);
        const second = await take(trial, `${header}\nb\t\t70\nc\t\t9`, 2, { replaces: 1 });
        expect(second).toMatchObject({ accepted: 2, retracted: 0 });
        const songs = { by: ['batch', 'song'], measures: ['count', 'sum(plays)'] };
        for (const of of ['planned', 'ledger'] as const)
          expect(await trial.rows(lines, songs, of)).toEqual([
            ['2', 'b', 1, '70'],
            ['2', 'c', 1, '9'],
          ]);
        const taken = (await trial.entries(lines)).filter(({ sign }) => sign === -1);
        expect(taken.map(({ id, batch, reason }) => [id, batch, reason])).toEqual([
          ['1:1', second.batch, 'replaced by import 2'],
          ['1:2', second.batch, 'replaced by import 2'],
        ]);
        // As it was known before, it is still.
        const asked = { ...songs, known_at: first.recorded_at };
        expect(await trial.rows(lines, asked)).toEqual([
          ['1', 'a', 1, '5'],
          ['1', 'b', 1, '7'],
        ]);
        // What fails leaves both as they were.
        const alongside = () => {
          throw new Error('not this time');
        };
        await expect(take(trial, `${header}\nz\t\t1`, 3, { replaces: 2, alongside })).rejects.toThrow(
          'not this time',
        );
        expect(await trial.rows(lines, { measures: ['count', 'sum(plays)'] })).toEqual([[2, '79']]);
        await trial.verified();
      }),
    );
  });
}
