/**
 * A reader of CSV (RFC 4180) and TSV: a header row, then rows of as many cells.
 *
 * A cell of CSV may be quoted; then it may hold separators, line ends and doubled quotes, and an empty one is the
 * empty text. In TSV a quote is a character like others. An empty cell without quotes is a missing value. Lines
 * end with LF or CRLF, the last one need not. Blank lines count for nothing, a byte order mark is skipped. A row
 * with too few or too many cells, with text after a closing quote, whose quote is never closed, or whose bytes are no
 * UTF-8, has a fault and no cells; the rows around it have not.
 */
import { isUtf8 } from 'node:buffer';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import { tooLongFault } from './rows.ts';

export interface CsvRow {
  /** As it stands in the file, without its line end, and no more of it than a record may have; base64 where it is no UTF-8. */
  original: string;
  encoding: 'utf8' | 'base64';
  /** By column. */
  cells: (string | undefined)[];
  /** Why the row cannot be read, and in which line it begins. */
  fault: string | undefined;
}

export const separators = { csv: ',', tsv: '\t' } as const;
export type Separator = (typeof separators)[keyof typeof separators];

const byteOrderMark = '\xef\xbb\xbf';
const quoteNotClosed = 'a quote is not closed';

/**
 * Reads a file in pieces of any length. What may go on in the next piece is held back, but no more of it than a record
 * may have. A quote that is not closed until then, or until the file ends, costs its line and no other.
 */
export class CsvReader {
  readonly #separator: Separator;
  /** Bytes, a character each: what structures a row is ASCII, and what is no UTF-8 is kept as it came. */
  #held = '';
  #begun = false;
  /** The rest of a line that is too long is stepped over. */
  #steppingOver = false;
  /** Of what comes next, from 1. */
  #line = 1;
  /** Undefined until it was read: for ever, where the file is empty. */
  header: string[] | undefined;

  constructor(separator: Separator) {
    this.#separator = separator;
  }

  /** Throws `unreadable_body` where the header is no text. */
  push(piece: Buffer): CsvRow[] {
    return this.#read(this.#held + piece.toString('latin1'), false);
  }

  end(): CsvRow[] {
    return this.#read(this.#held, true);
  }

  #read(text: string, last: boolean): CsvRow[] {
    const rows: CsvRow[] = [];
    let at = 0;
    if (!this.#begun && (last || text.length >= byteOrderMark.length)) {
      this.#begun = true;
      if (text.startsWith(byteOrderMark)) at = byteOrderMark.length;
    }
    while (this.#begun && at < text.length) {
      if (this.#steppingOver) {
        const line = text.indexOf('\n', at);
        at = line < 0 ? text.length : line + 1;
        if (line < 0) break;
        this.#steppingOver = false;
        this.#line++;
        continue;
      }
      let { cells, fault, end } = readRow(text, at, this.#separator);
      const open = end === text.length && !last;
      if (open && end - at <= limits.record_bytes) break;
      if (open || fault === quoteNotClosed) {
        const line = text.indexOf('\n', at);
        this.#steppingOver = line < 0 && !last;
        end = line < 0 ? text.length : line;
        fault = quoteNotClosed;
      }
      if (end - at > limits.record_bytes) fault = tooLongFault;
      const row = this.#rowOf(text.slice(at, end).replace(/\r$/, ''), cells, fault);
      if (row) rows.push(row);
      this.#line += lineEnds(text, at, end);
      at = end + 1;
    }
    this.#held = text.slice(at);
    return rows;
  }

  /** Undefined for the header, and for a blank line. */
  #rowOf(bytes: string, cells: (string | undefined)[], fault: string | undefined): CsvRow | undefined {
    if (bytes === '') return undefined;
    const text = decoded(bytes.slice(0, limits.record_bytes));
    if (!this.header) {
      this.header = cells.map((cell) => textOrRefusal(cell ?? ''));
      return undefined;
    }
    const why = fault ?? (text === undefined ? 'it is no UTF-8' : unevenness(cells, this.header));
    const unread = why === undefined ? undefined : `line ${this.#line}: ${why}`;
    if (text === undefined) {
      const original = Buffer.from(bytes.slice(0, limits.record_bytes), 'latin1').toString('base64');
      return { original, encoding: 'base64', cells: [], fault: unread };
    }
    const read = unread === undefined ? cells.map((cell) => cell && decoded(cell)) : [];
    return { original: text, encoding: 'utf8', cells: read, fault: unread };
  }
}

/** The text of bytes, a character each; undefined where they are no UTF-8. */
function decoded(bytes: string): string | undefined {
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  return isUtf8(buffer) ? buffer.toString() : undefined;
}

/** How many lines end from one index to another, that one included. */
function lineEnds(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at <= to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

function textOrRefusal(bytes: string): string {
  const text = decoded(bytes);
  if (text !== undefined) return text;
  throw new TallybookError(
    'unreadable_body',
    'the file is no UTF-8 text; if it is packed, pack it with gzip or zstd; if it is in another encoding, save it as UTF-8',
  );
}

function unevenness(cells: unknown[], header: string[]): string | undefined {
  if (cells.length === header.length) return undefined;
  return `it has ${cells.length} cells, the header ${header.length}`;
}

/** Reads one row. `end` is the index of the LF that ends it, or the length of the text. */
function readRow(text: string, start: number, separator: Separator) {
  const lineEnd = text.indexOf('\n', start);
  const line = text.slice(start, lineEnd < 0 ? text.length : lineEnd);
  if (separator === '\t' || !line.includes('"')) {
    const cells = line.replace(/\r$/, '').split(separator);
    return { cells: cells.map((cell) => cell || undefined), fault: undefined, end: start + line.length };
  }
  return readQuoted(text, start, separator);
}

/** The same, cell by cell: it takes three times as long, but a cell may hold what ends others. */
function readQuoted(text: string, start: number, separator: Separator) {
  const cells: (string | undefined)[] = [];
  let fault: string | undefined;
  let at = start;
  for (;;) {
    if (text[at] === '"') {
      const close = closingQuote(text, at);
      if (close === undefined) return { cells, fault: quoteNotClosed, end: text.length };
      cells.push(text.slice(at + 1, close).replaceAll('""', '"'));
      at = close + 1;
      const end = cellEnd(text, at, separator);
      if (end !== at) fault = 'text follows a closing quote';
      at = end;
    } else {
      const end = cellEnd(text, at, separator);
      cells.push(end === at ? undefined : text.slice(at, end));
      at = end;
    }
    if (text[at] !== separator) break;
    at += 1;
  }
  const end = text.indexOf('\n', at);
  return { cells, fault, end: end < 0 ? text.length : end };
}

/** The index of the separator, LF, CRLF or end of the text that ends an unquoted cell. */
function cellEnd(text: string, start: number, separator: Separator): number {
  let at = start;
  while (at < text.length && text[at] !== separator && text[at] !== '\n') {
    if (text[at] === '\r' && (text[at + 1] === '\n' || at + 1 === text.length)) break;
    at += 1;
  }
  return at;
}

function closingQuote(text: string, open: number): number | undefined {
  let at = text.indexOf('"', open + 1);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at < 0 ? undefined : at;
}
