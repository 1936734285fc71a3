/**
 * Files with rows that DuckDB cannot read. Of such a row it keeps the first 10,000 characters, with question marks for bytes
 * that are no UTF-8; behind a quote that is never closed it skips whatever follows, and steps over a line that exceeds its
 * buffers without a word. It wants the header in the first line, and line ends of one kind. Not a byte may be lost without a
 * word: so where it puts aside but one row, gives up, or may be mistaken, the file is read by the readers of the other
 * stores (engine/csv.ts). They write a copy of all rows that can be read, and set the others aside as they came.
 */
import { isUtf8 } from 'node:buffer';
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CsvReader, type CsvRow, type Separator, separators } from '../../engine/csv.ts';
import { LinesReader, originalOf } from '../../engine/file-rows.ts';
import { limits } from '../../engine/limits.ts';
import { type Row, tooLongFault } from '../../engine/rows.ts';
import type { FileFormat } from '../../engine/store.ts';
import { undecodableMark } from './stage.ts';

const blockBytes = 1024 * 1024;
/** The rows of one are gone before memory is collected for the first time. */
const copiedBlockBytes = 128 * 1024;
const newLine = 0x0a;
/** Between the columns of a file that has one, in read-file.ts. No JSON holds it as it is. */
export const noSeparator = 0x1f;
/** A row of a copy at most: each of its quotes may be doubled, and each of its cells gets two. */
export const copiedRowBytes = 2 * limits.record_bytes + 3 * limits.stream_fields_max;

export type TextFormat = Exclude<FileFormat, 'parquet'>;

export interface UnreadableRow {
  /** Among all rows of the file, from 0. */
  place: number;
  /** The original as a stage has it (see `undecodableMark`). */
  line: string;
  reason: string;
}

/**
 * Whether DuckDB may mistake rows of the file without a word. A line longer than a megabyte covers one of the blocks into
 * which the file is read: a look for one line end a block is enough. A blank line is a row of a file with one column.
 */
export async function mayBeMistaken(path: string, format: TextFormat): Promise<boolean> {
  const file = await open(path);
  try {
    const block = Buffer.allocUnsafe(blockBytes);
    for (let first = true; ; first = false) {
      const { bytesRead } = await file.read(block, 0, blockBytes, null);
      const end = block.subarray(0, bytesRead).indexOf(newLine);
      if (first && format !== 'ndjson') {
        const header = block.toString('latin1', 0, end < 0 ? bytesRead : end);
        if (!header.includes(separators[format])) return true;
      }
      if (bytesRead < blockBytes) return false;
      if (end < 0) return true;
    }
  } finally {
    await file.close();
  }
}

/**
 * Copies the rows that can be read: lines of JSON and plain rows of CSV as they are, others as CSV in which every cell is quoted.
 * @param setAside takes the others, in their order, some at a time
 */
export async function copyReadable(
  path: string,
  copyPath: string,
  format: TextFormat,
  setAside: (rows: UnreadableRow[]) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const reader = format === 'ndjson' ? new LinesOfCopy() : new CellsOfCopy(separators[format]);
  async function* copied(): AsyncIterable<string | Buffer> {
    for await (const block of createReadStream(path, { highWaterMark: copiedBlockBytes })) {
      yield reader.push(block);
      await setAside(reader.takeUnreadable());
    }
    yield reader.end();
    await setAside(reader.takeUnreadable());
  }
  await pipeline(Readable.from(copied()), createWriteStream(copyPath, { mode: 0o600 }), {
    ...(signal ? { signal } : {}),
  });
}

abstract class Copy {
  #rows = 0;
  #unreadable: UnreadableRow[] = [];

  takeUnreadable(): UnreadableRow[] {
    const taken = this.#unreadable;
    this.#unreadable = [];
    return taken;
  }

  /** Counts a row; of one that cannot be read the reason is given. */
  protected row(line: () => string, reason: string | undefined): boolean {
    const place = this.#rows++;
    if (reason !== undefined) this.#unreadable.push({ place, line: line(), reason });
    return reason === undefined;
  }
}

class LinesOfCopy extends Copy {
  readonly #reader = new LinesReader((line) => line);

  push(block: Buffer): Buffer {
    return this.#copy(this.#reader.push(block));
  }

  end(): Buffer {
    return this.#copy(this.#reader.end());
  }

  #copy(lines: Buffer[]): Buffer {
    const end = Buffer.of(newLine);
    return Buffer.concat(
      lines.flatMap((line) =>
        this.row(() => stagedOriginal(originalOf(line)), faultOf(line)) ? [line, end] : [],
      ),
    );
  }
}

function faultOf(line: Buffer): string | undefined {
  if (line.length > limits.record_bytes) return tooLongFault;
  if (!isUtf8(line)) return 'it is no UTF-8';
  return line.includes(noSeparator) ? 'it holds the control character U+001F' : undefined;
}

/** An original as a stage has it. */
const stagedOriginal = ({ original, encoding }: Pick<Row, 'original' | 'encoding'>): string =>
  encoding === 'base64' ? undecodableMark + original : original;

class CellsOfCopy extends Copy {
  readonly #reader: CsvReader;
  /** Whether a row without quotes can stay as it is. */
  readonly #copies: boolean;
  #headed = false;

  constructor(separator: Separator) {
    super();
    this.#reader = new CsvReader(separator);
    this.#copies = separator === ',';
  }

  push(block: Buffer): string {
    return this.#copy(this.#reader.push(block));
  }

  end(): string {
    return this.#copy(this.#reader.end());
  }

  #copy(rows: CsvRow[]): string {
    const written = rows
      .filter((row) => this.row(() => stagedOriginal(row), row.fault))
      .map(({ original, cells }) =>
        this.#copies && !/["\r]/.test(original) ? `${original}\n` : rowOf(cells),
      );
    const { header } = this.#reader;
    if (header && !this.#headed) {
      this.#headed = true;
      written.unshift(rowOf(header));
    }
    return written.join('');
  }
}

const rowOf = (cells: readonly (string | undefined)[]): string =>
  `${cells.map((cell) => (cell === undefined ? '' : `"${cell.replaceAll('"', '""')}"`)).join(',')}\n`;
