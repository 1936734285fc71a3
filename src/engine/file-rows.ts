/**
 * From a file to rows: the named values of each record, still as they were written (of texts: rows.ts). A row that cannot
 * be read has the position at which it stands in the file.
 */
import { isUtf8 } from 'node:buffer';
import { CsvReader, type CsvRow, type Separator, separators } from './csv.ts';
import { TallybookError } from './errors.ts';
import { writeObject } from './exact-json.ts';
import { limits } from './limits.ts';
import { type Row, readJson, tooLongFault, undecodable, unread } from './rows.ts';
import type { File, Mode } from './store.ts';
import type { Stream } from './stream.ts';

/** Reads a file in pieces of any length, unpacked. */
export interface FileReader {
  push(piece: Buffer): Row[];
  /** What was held back, and whether the file as a whole can be read. */
  end(): Row[];
}

/** Throws, here or while it reads, where the file as a whole cannot be taken in. */
export function fileReader(stream: Stream, { format, idPrefix }: File, mode: Mode): FileReader {
  if (mode === 'retract') {
    throw new TallybookError('unsupported_format', 'retractions come as records in a request, not as a file');
  }
  let rows = 0;
  const nextId = (): string => `${idPrefix}:${++rows}`;
  switch (format) {
    case 'ndjson':
      return new LinesReader((line) => {
        const { original, encoding } = originalOf(line);
        if (line.length > limits.record_bytes)
          return { ...unread(original, nextId()), encoding, fault: tooLongFault };
        return encoding === 'base64' ? undecodable(original, nextId()) : readJson(original, mode, nextId());
      });
    case 'csv':
    case 'tsv':
      return new CellsReader(stream, separators[format], nextId);
    case 'parquet':
      throw new TallybookError('unsupported_format', 'this store reads no Parquet files; send NDJSON or CSV');
  }
}

class CellsReader implements FileReader {
  readonly #stream: Stream;
  readonly #reader: CsvReader;
  readonly #nextId: () => string;
  #checked = false;

  constructor(stream: Stream, separator: Separator, nextId: () => string) {
    this.#stream = stream;
    this.#reader = new CsvReader(separator);
    this.#nextId = nextId;
  }

  push(piece: Buffer): Row[] {
    return this.#rows(this.#reader.push(piece));
  }

  end(): Row[] {
    const rows = this.#reader.end();
    if (!this.#reader.header) checkHeader(this.#stream, undefined);
    return this.#rows(rows);
  }

  #rows(rows: CsvRow[]): Row[] {
    const { header } = this.#reader;
    if (!header) return [];
    if (!this.#checked) checkHeader(this.#stream, header);
    this.#checked = true;
    return rows.map(({ original, encoding, cells, fault }): Row => {
      const shared = { encoding, repeated: undefined, fault, fallbackId: this.#nextId() };
      if (fault !== undefined) return { ...shared, original, members: undefined };
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
}

/** A header that does not fit the stream makes every row of the file wrong: then the file as a whole is refused. */
function checkHeader(stream: Stream, header: string[] | undefined): void {
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

/** The lines of a file that hold anything but white space. Of one that is longer than a record may be, its start. */
export class LinesReader<Line> {
  readonly #rowOf: (line: Buffer) => Line;
  #held = Buffer.alloc(0);
  #begun = false;

  constructor(rowOf: (line: Buffer) => Line) {
    this.#rowOf = rowOf;
  }

  push(piece: Buffer): Line[] {
    return this.#read(piece, false);
  }

  end(): Line[] {
    return this.#read(Buffer.alloc(0), true);
  }

  #read(piece: Buffer, last: boolean): Line[] {
    const bytes = Buffer.concat([this.#held, piece]);
    let at = !this.#begun && bytes.subarray(0, 3).equals(Buffer.from('\uFEFF')) ? 3 : 0;
    if (bytes.length < 3 && !last) {
      this.#held = bytes;
      return [];
    }
    this.#begun = true;
    const rows: Line[] = [];
    while (at < bytes.length) {
      const found = bytes.indexOf(10, at);
      if (found < 0 && !last) break;
      const end = found < 0 ? bytes.length : found;
      const line = bytes.subarray(at, bytes[end - 1] === 13 && end > at ? end - 1 : end);
      if (!/^[ \t\r]*$/.test(line.toString('latin1'))) rows.push(this.#rowOf(line));
      at = end + 1;
    }
    const rest = bytes.subarray(at);
    // Too long a line is refused whatever it holds: no more of it is held than tells so.
    this.#held = rest.subarray(0, limits.record_bytes + 1);
    return rows;
  }
}

/** What is kept of a line, no more of it than a record may have; base64 where that is no UTF-8. */
export function originalOf(line: Buffer): Pick<Row, 'original' | 'encoding'> {
  const kept = line.subarray(0, limits.record_bytes);
  return isUtf8(kept)
    ? { original: kept.toString(), encoding: 'utf8' }
    : { original: kept.toString('base64'), encoding: 'base64' };
}
