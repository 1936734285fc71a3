/**
 * Reading files: which SQL gives the records of a file, as lines of JSON or as one column of text a field.
 *
 * Lines of JSON are read as a table of one column, with a separator that cannot occur in them. A line that is too
 * long or no UTF-8, a row with too few or too many cells, an open quote: DuckDB puts them aside. Where it has put aside
 * any, the file is read again, from a copy (see readable-copy.ts). TSV has no quotes: a quote is a plain character in it.
 */
import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { separators } from '../../engine/csv.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { FileFormat } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { parquetColumns } from '../parquet-file.ts';
import type { RawKind } from './casts.ts';
import type { Connection } from './connection.ts';
import { literal, quote } from './names.ts';
import { noSeparator } from './readable-copy.ts';

export interface FileSource {
  kind: RawKind;
  /** Gives line (json) or r0, r1 … (cells). */
  select: string;
  /** Has a row where some could not be read; undefined where the format has none of that kind. */
  rejectsTable: string | undefined;
}

const bufferBytes = 16 * limits.record_bytes;

/**
 * @param scan names the tables in which DuckDB tells of what it puts aside: another for each time that a connection reads
 * @param rowBytes a row at most
 */
export async function fileSource(
  connection: Connection,
  stream: Stream,
  path: string,
  format: FileFormat,
  scan: string,
  rowBytes: number,
): Promise<FileSource> {
  const rejectsTable = `put_aside_${scan}`;
  const putAside = `store_rejects = true, rejects_table = '${rejectsTable}', rejects_scan = 'scans_${scan}', rejects_limit = 1`;
  // Of their own accord, buffers would grow with what a row may have.
  const lineMax = `max_line_size = ${rowBytes}, buffer_size = ${bufferBytes}`;
  if (format === 'ndjson') {
    return {
      kind: 'json',
      select: `select column0 as line from read_csv(${literal(path)}, header = false, auto_detect = false, columns = {'column0': 'varchar'},
        delim = '${String.fromCharCode(noSeparator)}', quote = '', escape = '', comment = '', strict_mode = false, ${lineMax}, ${putAside})
        where column0 is not null and not regexp_full_match(column0, '[ \\t\\r]*')`,
      rejectsTable,
    };
  }
  if (format === 'parquet') {
    const columns = await parquetColumns(path, (sql) => connection.askOnce(sql));
    const positions = checkHeader(stream, [...columns.keys()], 'the Parquet file');
    return {
      kind: 'cell',
      select: `select ${positions.map((name, i) => `${name === undefined ? 'null::varchar' : columns.get(name)} as r${i}`).join(', ')} from read_parquet(${literal(path)})`,
      rejectsTable: undefined,
    };
  }
  const separator = separators[format];
  const header = await readHeader(path, separator, format === 'csv');
  const positions = checkHeader(stream, header, 'the header');
  const columns = header.map((name) => `${literal(name)}: 'varchar'`).join(', ');
  const quoting = format === 'csv' ? `quote = '"', escape = '"'` : "quote = '', escape = ''";
  return {
    kind: 'cell',
    select: `select ${positions.map((name, i) => `${name === undefined ? 'null::varchar' : quote(name)} as r${i}`).join(', ')}
      from read_csv(${literal(path)}, header = true, auto_detect = false, columns = {${columns}}, delim = ${literal(separator)},
        ${quoting}, comment = '', allow_quoted_nulls = false, ${lineMax}, ${putAside})`,
    rejectsTable,
  };
}

/** For each field of the stream or form the column that holds it. Throws for columns that are no fields, and fields that must be there. */
function checkHeader(stream: Stream, header: string[], what: string): (string | undefined)[] {
  const names = stream.named.map((field) => field.name);
  const unknown = header.filter((name) => !stream.field(name));
  const repeated = header.filter((name, i) => header.indexOf(name) !== i);
  const missing = stream.fields
    .filter((field) => field.required && !header.includes(field.name))
    .map((field) => field.name);
  const faults = [
    unknown.length > 0
      ? `names ${unknown.map((name) => `"${name.slice(0, limits.found_characters)}"`).join(', ')}, which the stream ${stream.name} does not have`
      : '',
    repeated.length > 0 ? `names ${repeated.join(', ')} more than once` : '',
    missing.length > 0 ? `lacks ${missing.join(', ')}` : '',
  ].filter((fault) => fault !== '');
  if (faults.length > 0) {
    throw new TallybookError(
      'unreadable_body',
      `${what} ${faults.join(', and ')}; expected the columns ${names.join(', ')}`,
    );
  }
  return stream.fields.map((field) =>
    stream.named.includes(field) && header.includes(field.name) ? field.name : undefined,
  );
}

const headerBytes = 262_144;

/** The names in the first row. Throws `unreadable_body` when there are none. */
export async function readHeader(path: string, separator: string, quotes: boolean): Promise<string[]> {
  const file = await open(path);
  let text: string;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    const read = buffer.subarray(0, bytesRead);
    const lineEnd = read.indexOf('\n');
    const firstLine = lineEnd < 0 ? read : read.subarray(0, lineEnd);
    if (!isUtf8(firstLine) || firstLine.includes(0)) {
      throw new TallybookError(
        'unreadable_body',
        'the file is no UTF-8 text; if it is packed, pack it with gzip or zstd; if it is in another encoding, save it as UTF-8',
      );
    }
    text = read.toString('utf8');
  } finally {
    await file.close();
  }
  if (text.startsWith('\ufeff')) text = text.slice(1);
  if (text.trim() === '')
    throw new TallybookError(
      'unreadable_body',
      'the file is empty; expected a header row with the names of the fields',
    );
  const names: string[] = [];
  let at = 0;
  for (;;) {
    let name = '';
    if (quotes && text[at] === '"') {
      const quoted = /^"((?:[^"]|"")*)"/.exec(text.slice(at));
      if (!quoted)
        throw new TallybookError('unreadable_body', 'the header row has a quote that is not closed');
      name = quoted[1]!.replaceAll('""', '"');
      at += quoted[0].length;
    } else {
      const end = text.slice(at).search(separator === ',' ? /[,\r\n]|$/ : /[\t\r\n]|$/);
      name = text.slice(at, at + end);
      at += end;
    }
    names.push(name);
    if (text[at] !== separator) return names;
    at++;
  }
}
