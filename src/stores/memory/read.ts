/**
 * From a file to rows: the named values of each record, still as they were written (of texts: engine/rows.ts).
 *
 * Differences to other stores, both refused with `unsupported_format`: Parquet files (nothing here reads them)
 * and zstd (Node 20 cannot unpack it). And a difference that shows: a row that cannot be read has the position
 * at which it stands in the file.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { TallybookError } from '../../engine/errors.ts';
import { writeObject } from '../../engine/exact-json.ts';
import { type Row, readJson, undecodable } from '../../engine/rows.ts';
import type { File, Mode } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { readCsv, type Separator } from './csv.ts';

export function readFile(stream: Stream, content: File, mode: Mode): Row[] {
  if (mode === 'retract') {
    throw new TallybookError('unsupported_format', 'retractions come as records in a request, not as a file');
  }
  const bytes = unpack(content);
  const fallbackId = (index: number): string => `${content.idPrefix}:${index + 1}`;
  switch (content.format) {
    case 'ndjson':
      return linesOf(bytes).map((line, index) => {
        const text = decode(line);
        if (text === undefined) return undecodable(line.toString('base64'), fallbackId(index));
        return readJson(text, mode, fallbackId(index));
      });
    case 'csv':
    case 'tsv':
      return csvRows(stream, bytes, content.format === 'csv' ? ',' : '\t', fallbackId);
    case 'parquet':
      throw new TallybookError(
        'unsupported_format',
        'the memory store reads no Parquet files; send NDJSON or CSV',
      );
  }
}

function csvRows(
  stream: Stream,
  bytes: Buffer,
  separator: Separator,
  fallbackId: (index: number) => string,
): Row[] {
  const text = decode(bytes);
  if (text === undefined)
    throw new TallybookError(
      'unreadable_body',
      'the file is no UTF-8 text; save it as UTF-8 and send it again',
    );
  const { header, rows } = readCsv(text, separator);
  checkHeader(stream, header);
  return rows.map(({ text, cells, fault }, index): Row => {
    const shared = { encoding: 'utf8' as const, repeated: undefined, fault, fallbackId: fallbackId(index) };
    if (fault !== undefined) return { ...shared, original: text, members: undefined };
    const given = cells.flatMap((cell, column): [string, string][] =>
      cell === undefined ? [] : [[header[column]!, cell]],
    );
    return {
      ...shared,
      original: writeObject(given.map(([name, cell]) => [name, JSON.stringify(cell)])),
      members: new Map(given.map(([name, cell]) => [name, { kind: 'cell', text: cell }])),
    };
  });
}

/** A header that does not fit the stream makes every row of the file wrong: then the file as a whole is refused. */
function checkHeader(stream: Stream, header: string[] | undefined): asserts header is string[] {
  const names = stream.named.map(({ name }) => name);
  const faults = [
    ...(header ?? [])
      .filter((name) => !names.includes(name))
      .map((name) => `has a column ${name}, which is no field`),
    ...(header ?? [])
      .filter((name, column) => header!.indexOf(name) < column)
      .map((name) => `has the column ${name} twice`),
    ...stream.fields
      .filter(({ required, name }) => required && !header?.includes(name))
      .map(({ name }) => `has no column ${name}`),
  ];
  if (!header || faults.length > 0) {
    throw new TallybookError(
      'unreadable_body',
      `the file ${faults.join(', ') || 'is empty'}; expected the columns ${names.join(', ')}`,
    );
  }
}

function unpack(content: File): Buffer {
  const bytes = readFileSync(content.path);
  switch (content.compression) {
    case 'none':
      return bytes;
    case 'gzip':
      try {
        return gunzipSync(bytes);
      } catch (error) {
        throw new TallybookError(
          'import_failed',
          `the file cannot be unpacked: ${(error as Error).message}`,
          { cause: error },
        );
      }
    case 'zstd':
      throw new TallybookError('unsupported_format', 'the memory store cannot unpack zstd; send gzip');
  }
}

/** The lines of a file that hold anything but white space. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let at = bytes.subarray(0, 3).equals(Buffer.from('\uFEFF')) ? 3 : 0;
  while (at < bytes.length) {
    const found = bytes.indexOf(10, at);
    const end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(at, bytes[end - 1] === 13 && end > at ? end - 1 : end);
    if (!/^[ \t\r]*$/.test(line.toString('latin1'))) lines.push(line);
    at = end + 1;
  }
  return lines;
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
