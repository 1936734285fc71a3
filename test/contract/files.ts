/** Chapter: reading files. The same rows come out of every format; what cannot be read is a reject, and nothing is lost. */
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect } from 'vitest';
import type { File } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { fileContent, onFreshStore, rule, type StoreUnderTest, verdictsOf } from './harness.ts';
import { cell, csv, header, json, keptRows, rows, stands, visitFiles, visits } from './visits.ts';

const pages = defineStream('pages', { fields: { page: { type: 'text' } } });

export function filesChapter(under: StoreUnderTest): void {
  const { path, take } = visitFiles();
  describe('files', () => {
    const text = csv(rows);
    const withUnreadable = 'at,units\n2026-10-01T10:00:00Z,1\nfew\n2026-10-01T10:00:00Z,2\n';
    const tsvRows = rows.map((row) => row.map((value) => value.replace('\n', ' ')));
    const written: [how: string, content: string | Buffer, given: Partial<File>][] = [
      ['CSV', text, { format: 'csv' }],
      ['CSV with a line end at the end', `${text}\n`, { format: 'csv' }],
      ['CSV with CRLF', text.replace('two\nlines', 'two lines').replaceAll('\n', '\r\n'), { format: 'csv' }],
      ['CSV with a byte order mark', `\ufeff${text}`, { format: 'csv' }],
      [
        'CSV with every cell quoted',
        [header.split(','), ...rows]
          .map((row) =>
            row.map((value) => (value === '' ? '' : `"${value.replaceAll('"', '""')}"`)).join(','),
          )
          .join('\n'),
        { format: 'csv' },
      ],
      [
        'CSV with its columns in another order',
        [
          'units,id,price,door,at',
          ...rows.map(([id, at, door, n, price]) => [n, id, price, door, at].map(cell).join(',')),
        ].join('\n'),
        { format: 'csv' },
      ],
      [
        'TSV',
        [header.replaceAll(',', '\t'), ...tsvRows.map((row) => row.join('\t'))].join('\n'),
        { format: 'tsv' },
      ],
      ['NDJSON', rows.map(json).join('\n'), { format: 'ndjson' }],
      [
        'NDJSON with blank lines and CRLF',
        `\n${rows.map(json).join('\r\n\r\n \n')}\n\n`,
        { format: 'ndjson' },
      ],
      ['NDJSON with a byte order mark', `\ufeff${rows.map(json).join('\n')}`, { format: 'ndjson' }],
      ['gzip', gzipSync(text), { format: 'csv', compression: 'gzip' }],
      [
        'gzip in two pieces',
        Buffer.concat([gzipSync(text.slice(0, 60)), gzipSync(text.slice(60))]),
        { format: 'csv', compression: 'gzip' },
      ],
      ['gzip of NDJSON', gzipSync(rows.map(json).join('\n')), { format: 'ndjson', compression: 'gzip' }],
    ];
    for (const [how, content, given] of written) {
      rule(under, `the same rows come from ${how}, and once more they are all duplicates`, () =>
        onFreshStore(under, [visits], async (trial) => {
          const receipt = await take(trial, content, given);
          expect(receipt).toMatchObject({ batch: 1, received: 5, accepted: 5 });
          const found = await stands(trial);
          const oneLine = how === 'TSV' || how === 'CSV with CRLF';
          const wanted = JSON.parse(JSON.stringify(keptRows).replace(oneLine ? '\\n' : '\0', ' '));
          expect(found).toEqual(wanted);
          expect(await take(trial, content, given)).toMatchObject({
            batch: 2,
            received: 5,
            duplicates: 5,
            accepted: 0,
          });
          expect(await trial.rows(visits, { measures: ['count', 'sum(units)', 'sum(price)'] })).toEqual([
            [5, '9007199254740995', '12345678901234567895.244456789'],
          ]);
          await trial.verified();
        }),
      );
    }

    for (const [how, extension, options, given] of [
      ['zstd', 'csv.zst', 'format csv, header, compression zstd', { format: 'csv', compression: 'zstd' }],
      ['Parquet', 'parquet', 'format parquet', { format: 'parquet' }],
    ] as const) {
      rule(under, `the same rows come from ${how}`, () =>
        onFreshStore(under, [visits], async (trial) => {
          const file = path('', extension);
          await copyWithDuckDB(
            path(csv(keptRows.map((row) => row.map((value) => value ?? ''))), 'csv'),
            file,
            options,
          );
          const content = fileContent(file, { import: 1, ...given });
          const [receipt] = await trial.publish({
            stream: visits,
            mode: 'insert',
            source: 'loader',
            reason: undefined,
            content,
            allVerdicts: true,
          });
          expect(receipt).toMatchObject({ received: 5, accepted: 5 });
          expect(await stands(trial)).toEqual(keptRows);
        }),
      );
    }

    rule(under, 'a quoted empty cell is the empty text, an unquoted one is missing', () =>
      onFreshStore(under, [visits], async (trial) => {
        const content = `${header}\na,2026-10-01T10:00:00Z,"",1,\nb,2026-10-01T10:00:00Z,,"1",""\nc,2026-10-01T10:00:00Z, x ,1,\n`;
        const receipt = await take(trial, content, { format: 'csv' });
        expect(verdictsOf(receipt)).toEqual(['accepted', 'rejected invalid_value price', 'accepted']);
        expect((await stands(trial)).map(([id, , door]) => [id, door])).toEqual([
          ['a', ''],
          ['c', ' x '],
        ]);
      }),
    );

    rule(under, 'equal rows with no id count each, and the file again counts nothing', () =>
      onFreshStore(under, [visits], async (trial) => {
        const content = ['at,units', ...Array.from({ length: 40 }, () => '2026-10-01T10:00:00Z,1')].join(
          '\n',
        );
        expect(await take(trial, content, { format: 'csv', idPrefix: 'sha' })).toMatchObject({
          accepted: 40,
        });
        expect(await take(trial, content, { format: 'csv', idPrefix: 'sha' })).toMatchObject({
          accepted: 0,
          duplicates: 40,
        });
        expect((await stands(trial)).map(([id]) => id)).toEqual(
          Array.from({ length: 40 }, (_, n) => `sha:${n + 1}`),
        );
        const lines = content
          .split('\n')
          .slice(1)
          .map((line) => `{"at":"${line.split(',')[0]}","units":1}`);
        expect(await take(trial, lines.join('\n'), { idPrefix: 'other' })).toMatchObject({
          accepted: 40,
        });
        expect(await trial.rows(visits, { measures: ['sum(units)'] })).toEqual([['80']]);
      }),
    );

    rule(under, 'an empty file of lines holds nothing; a table needs a header that fits the stream', () =>
      onFreshStore(under, [visits], async (trial) => {
        expect(await take(trial, '', { format: 'ndjson' })).toMatchObject({
          received: 0,
          accepted: 0,
          verdicts: [],
        });
        expect(await take(trial, '\n \n', { format: 'ndjson' })).toMatchObject({ received: 0 });
        for (const content of [header, `${header}\n`, `\ufeff${header}\r\n`]) {
          expect(await take(trial, content, { format: 'csv' })).toMatchObject({
            received: 0,
            accepted: 0,
          });
        }
        for (const content of [
          '',
          'id,at,units,colour\n',
          'id,door\n',
          'id,at,units,id\n',
          'a,2026-10-01,x,1,\n',
        ]) {
          await expect(
            take(trial, content, { format: 'csv' }),
            JSON.stringify(content),
          ).rejects.toMatchObject({ code: 'unreadable_body' });
        }
        expect(await trial.rows(visits, {})).toEqual([[0]]);
      }),
    );

    rule(under, 'a row that cannot be read is a reject with its bytes, the rows around it count', () =>
      onFreshStore(under, [visits], async (trial) => {
        const lines = [
          'a,2026-10-01T10:00:00Z,x,1,',
          'too,few',
          'b,2026-10-01T10:00:00Z,x,1,,,more',
          '',
          'c,2026-10-01T10:00:00Z,x,y,',
          'd,2026-10-01T10:00:00Z,x,1,',
        ];
        const receipt = await take(trial, `${header}\n${lines.join('\n')}\n`, {
          format: 'csv',
          import: 7,
        });
        expect(receipt).toMatchObject({ received: 5, accepted: 2, rejected: 3 });
        expect(verdictsOf(receipt).toSorted()).toEqual([
          'accepted',
          'accepted',
          'rejected invalid_value units',
          'rejected unreadable',
          'rejected unreadable',
        ]);
        const rejects = await trial.rejects();
        expect(
          rejects
            .map(({ code, original }) => [code, original])
            .filter(([code]) => code === 'unreadable')
            .toSorted(),
        ).toEqual([
          ['unreadable', 'b,2026-10-01T10:00:00Z,x,1,,,more'],
          ['unreadable', 'too,few'],
        ]);
        const wrong = rejects.find(({ code }) => code === 'invalid_value')!;
        expect(wrong).toMatchObject({
          stream: 'visits',
          source: 'loader',
          import: '7',
          mode: 'insert',
          record_id: 'c',
          message: 'units is y; expected a whole number from -9223372036854775808 to 9223372036854775807',
        });
        const original = Object.entries(JSON.parse(wrong.original!)).filter(([, value]) => value !== null);
        expect(Object.fromEntries(original)).toEqual({
          id: 'c',
          at: '2026-10-01T10:00:00Z',
          door: 'x',
          units: 'y',
        });
        expect((await stands(trial)).map(([id]) => id)).toEqual(['a', 'd']);
        await trial.verified();
      }),
    );

    rule(under, 'the position of a row that cannot be read is its place in the file', () =>
      onFreshStore(under, [visits], async (trial) => {
        const receipt = await take(trial, withUnreadable, { format: 'csv' });
        const positions = receipt.verdicts.map(({ index, verdict }) => [index, verdict]);
        expect(positions).toEqual([
          [0, 'accepted'],
          [1, 'rejected'],
          [2, 'accepted'],
        ]);
        expect((await trial.rejects()).map(({ index }) => index)).toEqual(['1']);
      }),
    );

    rule(under, 'the number in the id that a row is given counts the rows that cannot be read', () =>
      onFreshStore(under, [visits], async (trial) => {
        await take(trial, withUnreadable, { format: 'csv', idPrefix: 'f' });
        expect((await stands(trial)).map(([id]) => id)).toEqual(['f:1', 'f:3']);
      }),
    );

    const good = (id: string) => `${id},2026-10-01T10:00:00Z,x,1,`;
    const open = 'open,2026-10-01T10:00:00Z,"x,1,';
    for (const [how, behind] of [
      ['the last rows', 3],
      ['more than a record may have', 60_000],
    ] as const) {
      rule(under, `a quote that is never closed costs its line and no other: ${how} behind it`, () =>
        onFreshStore(under, [visits], async (trial) => {
          const rows = Array.from({ length: behind }, (_, n) => good(`behind-${n}`));
          const content = [header, good('a'), open, ...rows].join('\n');
          const receipt = await take(trial, content, { format: 'csv' });
          expect(receipt).toMatchObject({ received: behind + 2, accepted: behind + 1, rejected: 1 });
          expect(await trial.rejects()).toMatchObject([{ index: '1', original: open, encoding: 'utf8' }]);
          expect(await trial.rows(visits, {})).toEqual([[behind + 1]]);
        }),
      );
    }

    for (const format of ['csv', 'tsv'] as const) {
      const separated = (line: string) => (format === 'csv' ? line : line.replaceAll(',', '\t'));

      rule(under, `line ends of several kinds, and blank lines anywhere, are line ends: ${format}`, () =>
        onFreshStore(under, [visits], async (trial) => {
          const lines = ['', header, '', good('a'), '', good('b'), good('c'), ''];
          const ends = ['\n', '\r\n'];
          const content = lines.map((line, n) => separated(line) + ends[n % 2]).join('');
          const receipt = await take(trial, content, { format });
          expect(receipt).toMatchObject({ received: 3, accepted: 3, rejected: 0 });
          for (const first of [0, 1]) {
            const again = lines.slice(1).map((line, n) => separated(line) + ends[(n + first) % 2]);
            const counts = { received: 3, duplicates: 3, rejected: 0 };
            expect(await take(trial, again.join(''), { format })).toMatchObject(counts);
          }
        }),
      );

      rule(under, `a blank line of a file with one column is none of its rows: ${format}`, () =>
        onFreshStore(under, [pages], async (trial) => {
          const content = fileContent(path('page\na\n\nb\n', format), { import: 1, format });
          const given = { stream: pages, mode: 'insert' as const, source: 'loader', reason: undefined };
          const [receipt] = await trial.publish({ ...given, content, allVerdicts: true });
          expect(receipt).toMatchObject({ received: 2, accepted: 2, rejected: 0 });
        }),
      );
    }

    for (const format of ['csv', 'tsv', 'ndjson'] as const) {
      rule(under, `a row that is no UTF-8 is a reject with its bytes: ${format}`, () =>
        onFreshStore(under, [visits], async (trial) => {
          const row = (id: string, door: string) => `${id},2026-10-01T10:00:00Z,${door},1,`;
          const cells = [header, good('a'), row('b', 'Jos\xe9'), row('c', '\xc3\xa9')];
          const object = (id: string, door: string) =>
            `{"id":"${id}","at":"2026-10-01T10:00:00Z","units":1,"door":"${door}"}`;
          const lines = {
            csv: cells,
            tsv: cells.map((line) => line.replaceAll(',', '\t')),
            ndjson: [object('a', 'x'), object('b', 'Jos\xe9'), object('c', '\xc3\xa9')],
          }[format];
          const receipt = await take(trial, Buffer.from(lines.join('\n'), 'latin1'), { format });
          expect(receipt).toMatchObject({ received: 3, accepted: 2, rejected: 1 });
          const bytes = Buffer.from(lines.at(-2)!, 'latin1').toString('base64');
          expect(await trial.rejects()).toMatchObject([{ index: '1', original: bytes, encoding: 'base64' }]);
          expect(await trial.rows(visits, { where: { door: 'é' } })).toEqual([[1]]);
        }),
      );
    }

    rule(under, 'what cannot be read is kept whole, up to what a record may have', () =>
      onFreshStore(under, [visits], async (trial) => {
        const few = `few,${'x'.repeat(50_000)}`;
        const twice = `twice,2026-10-01T10:00:00Z,"two\nlines" and more,1,${'y'.repeat(20_000)}`;
        const content = [header, good('a'), few, twice, good('b')].join('\n');
        const receipt = await take(trial, content, { format: 'csv' });
        expect(receipt).toMatchObject({ received: 4, accepted: 2, rejected: 2 });
        const rejects = await trial.rejects();
        expect(rejects.map(({ index, original, message }) => [index, original, message])).toEqual([
          ['1', few, 'the row cannot be read: line 3: it has 2 cells, the header 5'],
          ['2', twice, 'the row cannot be read: line 4: text follows a closing quote'],
        ]);
      }),
    );

    rule(under, 'lines that are no JSON, no object or no text are rejects', () =>
      onFreshStore(under, [visits], async (trial) => {
        const object = (n: number) => `{"id":"g${n}","at":"2026-10-01T10:00:00Z","units":${n}}`;
        const lines = [
          object(0),
          '{"id":"a"',
          '5',
          object(3),
          '{"id":"x","at":"2026-10-01T10:00:00Z","units":1,"m":2}',
          '{"id":"y","at":"2026-10-01T10:00:00Z","units":1,"units":2}',
          object(6),
          '{"id":"z","at":"2026-10-01T10:00:00Z","units":NaN}',
          '{"id":"w","at":"2026-10-01T10:00:00Z","units":1,}',
        ];
        const receipt = await take(
          trial,
          Buffer.concat([
            Buffer.from(`${lines.join('\n')}\n`),
            Buffer.from([0x7b, 0xff, 0x7d]),
            Buffer.from(`\n${object(10)}`),
          ]),
        );
        expect(receipt).toMatchObject({ received: 11, accepted: 4, rejected: 7 });
        const codes = (await trial.rejects()).map(({ code }) => code).toSorted();
        expect(codes).toEqual([
          'unknown_field',
          'unreadable',
          'unreadable',
          'unreadable',
          'unreadable',
          'unreadable',
          'unreadable',
        ]);
        const originals = (await trial.rejects()).map(({ original }) => original);
        for (const n of [1, 2, 4, 5, 7, 8]) expect(originals).toContain(lines[n]);
      }),
    );
  });
}

/** Writes the rows of a CSV file in a format that Node 20 cannot write. */
async function copyWithDuckDB(from: string, to: string, options: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const columns = `{id: 'varchar', 'at': 'timestamp', door: 'varchar', units: 'bigint', price: 'decimal(38, 10)'}`;
  await connection.run(
    `copy (from read_csv('${from}', columns = ${columns}, quote = '"')) to '${to}' (${options})`,
  );
  connection.closeSync();
  instance.closeSync();
}
