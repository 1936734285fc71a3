/** Bodies of records and files: some that are right, in every format and packing, and what becomes of their bytes. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { hostileTexts } from './values.ts';

/** One thing that is done to bytes; places are shares of the length, so that an edit means something after others. */
export type Edit =
  | { edit: 'flip'; at: number; bits: number }
  | { edit: 'cut'; at: number; length: number }
  | { edit: 'end'; at: number }
  | { edit: 'repeat'; at: number; length: number; times: number }
  | { edit: 'insert'; at: number; bytes: string };

const at = fc.double({ min: 0, max: 1, noNaN: true, noDefaultInfinity: true });
const length = fc.integer({ min: 1, max: 64 });
// biome-ignore format: a list
const interesting = [
  ...hostileTexts, '\n', '\r', '\n\n', '\t', ',', '"', '{', '}', '[', ']', ':', '{}', 'null', '""', '1e400', '-0', '\\ud800', '\\u0000', '"__proto__":{"a":1},', '"constructor":1,',
  '['.repeat(3_000), '{"a":'.repeat(3_000), '1'.repeat(3_000), '"id":"a",', '\x00\x00\x00\x00', '\xff\xfe', '\x1f\x8b\x08', '(\xb5/\xfd', 'PAR1', '--xx\r\n', '\r\n--xx--\r\n',
];
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ edit: fc.constant('flip' as const), at, bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ edit: fc.constant('cut' as const), at, length }),
  fc.record({ edit: fc.constant('end' as const), at }),
  fc.record({ edit: fc.constant('repeat' as const), at, length, times: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ edit: fc.constant('insert' as const), at, bytes: fc.constantFrom(...interesting) }),
);
export const edits = fc.array(edit, { maxLength: 5 });

export function edited(bytes: Buffer, list: readonly Edit[]): Buffer {
  let now = Buffer.from(bytes);
  for (const one of list) {
    const place = Math.min(now.length, Math.floor(one.at * now.length));
    const [before, after] = [now.subarray(0, place), now.subarray(place)];
    switch (one.edit) {
      case 'flip':
        if (after.length > 0) now[place]! ^= one.bits;
        break;
      case 'cut':
        now = Buffer.concat([before, after.subarray(one.length)]);
        break;
      case 'end':
        now = before;
        break;
      case 'repeat':
        now = Buffer.concat([before, ...Array(one.times).fill(after.subarray(0, one.length)), after]);
        break;
      case 'insert':
        now = Buffer.concat([
          before,
          Buffer.from(one.bytes, one.bytes.includes('\\u') ? 'utf8' : 'latin1'),
          after,
        ]);
        break;
    }
  }
  return now;
}

export interface Made {
  what: string;
  type: string;
  packing?: 'gzip' | 'zstd';
  bytes: Buffer;
}

type Records = readonly Record<string, unknown>[];

/** The same records in all formats that a door of records takes, as files too where `files` says so. */
export async function bodiesOf(records: Records, directory: string, files: boolean): Promise<Made[]> {
  mkdirSync(directory, { recursive: true });
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const cell = (value: unknown): string =>
    value === undefined || value === null
      ? ''
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  const quoted = (value: unknown): string => `"${cell(value).replaceAll('"', '""')}"`;
  const ndjson = records.map((record) => JSON.stringify(record)).join('\n');
  const csv = [names, ...records.map((record) => names.map((name) => quoted(record[name])))].join('\n');
  const tsv = [names, ...records.map((record) => names.map((name) => cell(record[name])))]
    .map((cells) => cells.join('\t'))
    .join('\n');
  const plain: Made[] = [
    { what: 'JSON', type: 'application/json', bytes: Buffer.from(JSON.stringify(records[0])) },
    { what: 'a JSON array', type: 'application/json', bytes: Buffer.from(JSON.stringify(records)) },
    { what: 'NDJSON', type: 'application/x-ndjson', bytes: Buffer.from(ndjson) },
    { what: 'CSV', type: 'text/csv', bytes: Buffer.from(csv) },
    { what: 'TSV', type: 'text/tab-separated-values', bytes: Buffer.from(tsv) },
  ].slice(files ? 2 : 0);
  const made = [...plain];
  const database = await (await DuckDBInstance.create()).connect();
  for (const [index, one] of plain.entries()) {
    made.push({ ...one, what: `${one.what}, gzip`, packing: 'gzip', bytes: gzipSync(one.bytes) });
    const path = join(directory, `${index}.zst`);
    await database.run(
      `copy (select $1 as line) to '${path}' (format csv, header false, quote '', delimiter '', compression zstd)`,
      [one.bytes.toString()],
    );
    made.push({ ...one, what: `${one.what}, zstd`, packing: 'zstd', bytes: readFileSync(path) });
  }
  if (files) {
    const path = join(directory, 'made.parquet');
    const columns = names.map((name, i) => `$1[r][${i + 1}] as "${name}"`).join(', ');
    await database.run(
      `copy (select ${columns.replaceAll('$1', `cast(from_json($1::varchar, '[["VARCHAR"]]') as varchar[][])`)} from range(1, ${records.length + 1}) t(r)) to '${path}' (format parquet)`,
      [JSON.stringify(records.map((record) => names.map((name) => cell(record[name]))))],
    );
    made.push({ what: 'Parquet', type: 'application/vnd.apache.parquet', bytes: readFileSync(path) });
  }
  database.closeSync();
  return made;
}
