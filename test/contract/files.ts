/** Chapter: files. One import is one unit; its rows count once however often it comes, and it can be undone. */
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect } from 'vitest';
import { rejectsStream } from '../../src/engine/built-in-streams.ts';
import type { Delivery, File, Progress } from '../../src/engine/store.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
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

const visits = defineStream('visits', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text' },
    at: { type: 'timestamp', required: true },
    door: { type: 'text' },
    units: { type: 'integer', required: true },
    price: { type: 'decimal', precision: 38, scale: 10 },
  },
  rollups: { doors: { every: 'day', by: ['door'], sum: ['units', 'price'] } },
});
const runs = defineStream('runs', {
  id: 'id',
  fields: { id: { type: 'text', required: true }, accepted: { type: 'integer' } },
});

const header = 'id,at,door,units,price';
const rows: [id: string, at: string, door: string, n: string, price: string][] = [
  ['a', '2026-10-01T10:00:00Z', 'north', '1', '0.1234567890'],
  ['b', '2026-10-01 11:00:00', 'south, left', '-2', '12345678901234567890.12'],
  ['c', '2026-10-02T10:00:00+02:00', 'a "quoted" one', '9007199254740993', '1e-3'],
  ['d', '2026-10-02T10:00:00Z', 'two\nlines', '0', ''],
  ['e', '2026-10-03T10:00:00Z', '', '3', '5.0'],
];

const cell = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csv = (lines: readonly (readonly string[])[]): string =>
  [header, ...lines.map((line) => line.map(cell).join(','))].join('\n');
const json = ([id, at, door, n, price]: (typeof rows)[number]): string =>
  `{"id":"${id}","at":"${at}","door":${door === '' ? 'null' : JSON.stringify(door)},"units":${n},"price":${price || 'null'}}`;

export function filesChapter(under: StoreUnderTest): void {
  const scratch = scratchDirectory();
  let files = 0;
  const path = (content: string | Buffer, extension: string) =>
    scratch.write(`${++files}.${extension}`, content);

  async function take(
    trial: Trial,
    stream: Stream,
    content: string | Buffer,
    given: Partial<File> & { mode?: Delivery['mode'] } = {},
  ): Promise<Receipt> {
    const { mode = 'insert', ...rest } = given;
    const file = fileContent(path(content, rest.format ?? 'ndjson'), { import: 1, ...rest });
    const [receipt] = await trial.publish({
      stream,
      mode,
      source: 'loader',
      reason: undefined,
      content: file,
      allVerdicts: true,
    });
    return receipt!;
  }

  const undo = (trial: Trial, importId: number, signal?: AbortSignal): Promise<Receipt[]> =>
    trial.publish({
      stream: visits,
      mode: 'retract',
      source: 'desk',
      reason: 'wrong file',
      content: {
        kind: 'standing_of_import',
        import: importId,
        onProgress: () => {},
        signal,
        alongside: undefined,
      },
      allVerdicts: true,
    });

  const stands = async (trial: Trial) =>
    (await trial.entries(visits, { standing: true })).map(({ id, values }) => [id, ...values.slice(1)]);

  describe('files', () => {
    const expected = [
      ['a', '2026-10-01T10:00:00.000000Z', 'north', '1', '0.123456789'],
      ['b', '2026-10-01T11:00:00.000000Z', 'south, left', '-2', '12345678901234567890.12'],
      ['c', '2026-10-02T08:00:00.000000Z', 'a "quoted" one', '9007199254740993', '0.001'],
      ['d', '2026-10-02T10:00:00.000000Z', 'two\nlines', '0', null],
      ['e', '2026-10-03T10:00:00.000000Z', null, '3', '5'],
    ];
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
          const receipt = await take(trial, visits, content, given);
          expect(receipt).toMatchObject({ batch: 1, received: 5, accepted: 5 });
          const found = await stands(trial);
          const oneLine = how === 'TSV' || how === 'CSV with CRLF';
          const wanted = JSON.parse(JSON.stringify(expected).replace(oneLine ? '\\n' : '\0', ' '));
          expect(found).toEqual(wanted);
          expect(await take(trial, visits, content, given)).toMatchObject({
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
            path(csv(expected.map((row) => row.map((value) => value ?? ''))), 'csv'),
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
          expect(await stands(trial)).toEqual(expected);
        }),
      );
    }

    rule(under, 'a quoted empty cell is the empty text, an unquoted one is missing', () =>
      onFreshStore(under, [visits], async (trial) => {
        const content = `${header}\na,2026-10-01T10:00:00Z,"",1,\nb,2026-10-01T10:00:00Z,,"1",""\nc,2026-10-01T10:00:00Z, x ,1,\n`;
        const receipt = await take(trial, visits, content, { format: 'csv' });
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
        expect(await take(trial, visits, content, { format: 'csv', idPrefix: 'sha' })).toMatchObject({
          accepted: 40,
        });
        expect(await take(trial, visits, content, { format: 'csv', idPrefix: 'sha' })).toMatchObject({
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
        expect(await take(trial, visits, lines.join('\n'), { idPrefix: 'other' })).toMatchObject({
          accepted: 40,
        });
        expect(await trial.rows(visits, { measures: ['sum(units)'] })).toEqual([['80']]);
      }),
    );

    rule(under, 'an empty file of lines holds nothing; a table needs a header that fits the stream', () =>
      onFreshStore(under, [visits], async (trial) => {
        expect(await take(trial, visits, '', { format: 'ndjson' })).toMatchObject({
          received: 0,
          accepted: 0,
          verdicts: [],
        });
        expect(await take(trial, visits, '\n \n', { format: 'ndjson' })).toMatchObject({ received: 0 });
        for (const content of [header, `${header}\n`, `\ufeff${header}\r\n`]) {
          expect(await take(trial, visits, content, { format: 'csv' })).toMatchObject({
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
            take(trial, visits, content, { format: 'csv' }),
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
        const receipt = await take(trial, visits, `${header}\n${lines.join('\n')}\n`, {
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
        const receipt = await take(trial, visits, withUnreadable, { format: 'csv' });
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
        await take(trial, visits, withUnreadable, { format: 'csv', idPrefix: 'f' });
        expect((await stands(trial)).map(([id]) => id)).toEqual(['f:1', 'f:3']);
      }),
    );

    rule(under, 'a quote that is never closed is a reject, and nothing of it is lost in silence', () =>
      onFreshStore(under, [visits], async (trial) => {
        const receipt = await take(
          trial,
          visits,
          `${header}\na,2026-10-01T10:00:00Z,x,1,\nb,2026-10-01T10:00:00Z,"open,1,\nc,2026-10-01T10:00:00Z,x,1,\n`,
          { format: 'csv' },
        );
        expect(receipt.rejected).toBeGreaterThan(0);
        expect(receipt.accepted + receipt.rejected).toBe(receipt.received);
        expect(await trial.rows(visits, {})).toEqual([[receipt.accepted]]);
      }),
    );

    rule(under, 'lines that are no JSON, no object or no text are rejects', () =>
      onFreshStore(under, [visits], async (trial) => {
        const good = (n: number) => `{"id":"g${n}","at":"2026-10-01T10:00:00Z","units":${n}}`;
        const lines = [
          good(0),
          '{"id":"a"',
          '5',
          good(3),
          '{"id":"x","at":"2026-10-01T10:00:00Z","units":1,"m":2}',
          '{"id":"y","at":"2026-10-01T10:00:00Z","units":1,"units":2}',
          good(6),
          '{"id":"z","at":"2026-10-01T10:00:00Z","units":NaN}',
          '{"id":"w","at":"2026-10-01T10:00:00Z","units":1,}',
        ];
        const receipt = await take(
          trial,
          visits,
          Buffer.concat([
            Buffer.from(`${lines.join('\n')}\n`),
            Buffer.from([0x7b, 0xff, 0x7d]),
            Buffer.from(`\n${good(10)}`),
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

    rule(under, 'repeats, conflicts and corrections inside a file and with what stands', () =>
      onFreshStore(under, [visits], async (trial) => {
        await trial.insert(
          visits,
          { id: 'a', at: '2026-10-01T10:00:00Z', units: 1 },
          { id: 'b', at: '2026-10-01T10:00:00Z', units: 1 },
        );
        const line = (id: string, n: number) => `{"id":"${id}","at":"2026-10-01T10:00:00Z","units":${n}}`;
        const lines = [
          line('a', 1),
          line('b', 2),
          line('c', 1),
          line('c', 1),
          line('c', 2),
          line('d', 1),
        ].join('\n');
        const inserted = await take(trial, visits, lines, { import: 1 });
        expect(verdictsOf(inserted)).toEqual([
          'duplicate',
          'conflict',
          'accepted',
          'duplicate',
          'conflict',
          'accepted',
        ]);
        const upserted = await take(trial, visits, lines, { import: 2, mode: 'upsert' });
        expect(verdictsOf(upserted)).toEqual([
          'duplicate',
          'corrected',
          'duplicate',
          'duplicate',
          'corrected',
          'duplicate',
        ]);
        expect((await stands(trial)).map(([id, , , n]) => `${id}${n}`)).toEqual(['a1', 'd1', 'b2', 'c2']);
        expect(
          (await trial.store.fate(visits, 'c')).lines.map(
            ({ verdict, import: imported }) => `${verdict} ${imported}`,
          ),
        ).toEqual(['accepted 1', 'duplicate 1', 'conflict 1', 'corrected 2', 'duplicate 2', 'duplicate 2']);
        await trial.verified();
      }),
    );

    rule(under, 'an import is undone: what stands of it is taken back, also when it is done twice', () =>
      onFreshStore(under, [visits], async (trial) => {
        await trial.insert(visits, { id: 'x', at: '2026-10-01T10:00:00Z', door: 'north', units: 100 });
        const before = await trial.rows(visits, {
          by: ['door'],
          every: 'day',
          measures: ['sum(units)', 'sum(price)', 'count'],
        });
        await take(trial, visits, text, { format: 'csv', import: 3 });
        await take(trial, visits, '{"id":"other","at":"2026-10-01T10:00:00Z","units":1}', { import: 4 });
        // One of the file is corrected by hand, so it does not belong to the import any more; one is gone.
        await trial.upsert(visits, { id: 'a', at: '2026-10-01T10:00:00Z', units: 50 });
        await trial.retract(visits, 'b', 'other');
        const [undone] = await undo(trial, 3);
        expect(undone).toMatchObject({ received: 3, retracted: 3 });
        expect(undone!.verdicts.map(({ id, verdict }) => [id, verdict]).toSorted()).toEqual([
          ['c', 'retracted'],
          ['d', 'retracted'],
          ['e', 'retracted'],
        ]);
        expect((await stands(trial)).map(([id]) => id)).toEqual(['x', 'a']);
        expect((await undo(trial, 3))[0]).toMatchObject({ received: 0, retracted: 0 });
        await trial.retract(visits, 'a');
        expect(
          await trial.rows(visits, {
            by: ['door'],
            every: 'day',
            measures: ['sum(units)', 'sum(price)', 'count'],
          }),
        ).toEqual(before);
        const fate = await trial.store.fate(visits, 'c');
        expect(fate.lines.map(({ verdict, source, reason }) => [verdict, source, reason])).toEqual([
          ['accepted', 'loader', null],
          ['retracted', 'desk', 'wrong file'],
        ]);
        expect(await take(trial, visits, text, { format: 'csv', import: 5 })).toMatchObject({ accepted: 5 });
        await trial.verified();
      }),
    );

    rule(under, 'how an import ended is published with it', () =>
      onFreshStore(under, [visits, runs], async (trial) => {
        const alongside = (receipt: Receipt): Delivery =>
          delivery(runs, 'upsert', [{ id: 'run', accepted: receipt.accepted }], { source: 'loader' });
        const receipt = await take(trial, visits, text, { format: 'csv', alongside });
        const [entry] = await trial.entries(runs);
        expect(entry).toMatchObject({
          id: 'run',
          batch: receipt.batch,
          recorded_at: receipt.recorded_at,
          values: ['run', '5'],
        });
        expect(verdictsOf(receipt)).toHaveLength(5);
      }),
    );

    rule(under, 'an import that is aborted, or whose end cannot be written, leaves nothing', () =>
      onFreshStore(under, [visits, runs], async (trial) => {
        const many = Array.from(
          { length: 2000 },
          (_, n) => `{"id":"m${n}","at":"2026-10-01T10:00:00Z","units":${n % 7 === 0 ? '"x"' : n}}`,
        ).join('\n');
        await expect(take(trial, visits, many, { signal: AbortSignal.abort() })).rejects.toThrow();
        for (const step of ['staging', 'comparing', 'publishing'] as const) {
          const controller = new AbortController();
          const onProgress = (progress: Progress) => progress.step === step && controller.abort();
          await expect(
            take(trial, visits, many, { signal: controller.signal, onProgress }),
            step,
          ).rejects.toThrow();
        }
        const alongside = (): Delivery => {
          throw new Error('not this time');
        };
        await expect(take(trial, visits, many, { alongside })).rejects.toThrow('not this time');
        await expect(
          take(trial, visits, gzipSync(many).subarray(0, 3000), { compression: 'gzip' }),
        ).rejects.toThrow();
        await expect(take(trial, visits, many, { compression: 'gzip' })).rejects.toThrow();
        expect(await trial.rows(visits, { measures: ['count', 'sum(units)'] })).toEqual([[0, '0']]);
        expect(await trial.entries(rejectsStream)).toEqual([]);
        expect(await trial.entries(visits)).toEqual([]);
        expect(await take(trial, visits, many)).toMatchObject({
          accepted: 1714,
          rejected: 286,
          duplicates: 0,
        });
        await expect(undo(trial, 1, AbortSignal.abort())).rejects.toThrow();
        expect(await trial.rows(visits, {})).toEqual([[1714]]);
        await trial.verified();
      }),
    );

    rule(under, 'writers that send the ids of a file while it comes in: every id stands once', () =>
      onFreshStore(under, [visits], async (trial) => {
        const record = (n: number) => `{"id":"r${n}","at":"2026-10-01T10:00:00Z","units":1}`;
        const numbers = Array.from({ length: 3000 }, (_, n) => n);
        const importing = take(trial, visits, numbers.map(record).join('\n'));
        const writing = Array.from({ length: 20 }, async (_, call) => {
          const own = numbers.filter((n) => n % 20 === call || n % 31 === call).slice(0, 100);
          return trial.store.publish([
            delivery(visits, 'insert', own.map(record), { source: `writer ${call}` }),
          ]);
        });
        const receipts = [await importing, ...(await Promise.all(writing)).flat()];
        expect(receipts.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(3000);
        const entries = await trial.entries(visits);
        expect(new Set(entries.map(({ id }) => id)).size).toBe(3000);
        expect(entries).toHaveLength(3000);
        expect(await trial.rows(visits, { measures: ['count', 'sum(units)'] })).toEqual([[3000, '3000']]);
        await trial.verified();
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
