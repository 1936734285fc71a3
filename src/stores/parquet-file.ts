/**
 * Parquet files, which DuckDB reads whatever the store is. They are checked before a row is read: a small one can stand for
 * far more than it weighs.
 */
import { stat } from 'node:fs/promises';
import { TallybookError } from '../engine/errors.ts';
import { checkRatio } from '../engine/unpack.ts';

type Ask = (sql: string) => Promise<readonly (readonly unknown[])[]>;

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/**
 * The columns of a file by name, each as an expression that gives the text of its values, every digit of them. Times are
 * those of the session's zone, which must be UTC. Throws `unreadable_body` or `too_large`.
 */
export function parquetColumns(path: string, ask: Ask): Promise<Map<string, string>> {
  return readingParquet(async () => {
    const described = await ask(
      `select column_name, column_type from (describe select * from read_parquet(${quoted(path)}))`,
    );
    const types = new Map(described.map(([name, type]) => [String(name), String(type)]));
    await checkSize(path, types, ask);
    return new Map([...types].map(([name, type]) => [name, parquetText(identifier(name), type)]));
  });
}

function parquetText(column: string, type: string): string {
  if (/\[\]$|^(STRUCT|MAP|LIST)/.test(type)) return `to_json(${column})::varchar`;
  if (type === 'TIMESTAMP WITH TIME ZONE') return `cast(${column} at time zone 'UTC' as varchar)`;
  return `cast(${column} as varchar)`;
}

/**
 * Values that are all the same take next to nothing in a Parquet file: it tells how many there are, but not how long. What
 * stands in a dictionary, or as a difference, is measured: 14 ms for 5 million values, for no text is copied.
 */
async function checkSize(path: string, types: Map<string, string>, ask: Ask): Promise<void> {
  const [row] = await ask(
    `select coalesce(sum(num_values), 0)::varchar, coalesce(sum(total_uncompressed_size), 0)::varchar,
      to_json(coalesce(list(distinct path_in_schema) filter (where regexp_matches(encodings, 'DICTIONARY|DELTA')), []))::varchar
      from parquet_metadata(${quoted(path)})`,
  );
  const [values, bytes] = row!.slice(0, 2).map(Number) as [number, number];
  const packed = (await stat(path)).size;
  checkRatio(packed, Math.max(values, bytes));
  const lengths = (JSON.parse(String(row![2])) as string[]).flatMap((name) => {
    const length = { VARCHAR: 'strlen', BLOB: 'octet_length' }[types.get(name) ?? ''];
    return length === undefined ? [] : [`coalesce(sum(${length}(${identifier(name)})), 0)::varchar`];
  });
  if (lengths.length === 0) return;
  const [unpacked] = await ask(`select ${lengths.join(', ')} from read_parquet(${quoted(path)})`);
  checkRatio(
    packed,
    unpacked!.reduce<number>((sum, length) => sum + Number(length), 0),
  );
}

/** Runs what reads a Parquet file; what DuckDB says of a damaged one is told to its sender, without our paths. */
export async function readingParquet<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const [, why] =
      /^(?:Invalid Input|Invalid|IO|Conversion|Serialization|Not implemented|Out of Range) Error: (.*)/.exec(
        (error as Error).message,
      ) ?? [];
    if (error instanceof TallybookError || why === undefined) throw error;
    throw new TallybookError(
      'unreadable_body',
      `the Parquet file is truncated or damaged (${why.replace(/\s*'?\/\S+/g, '')}); write it again`,
      { cause: error },
    );
  }
}
