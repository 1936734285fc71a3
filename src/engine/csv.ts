/**
 * A reader of CSV (RFC 4180) and TSV: a header row, then rows of as many cells.
 *
 * A cell of CSV may be quoted; then it may hold separators, line ends and doubled quotes, and an empty one is the
 * empty text. In TSV a quote is a character like others. An empty cell without quotes is a missing value. Lines
 * end with LF or CRLF, the last one need not. Blank lines count for nothing, a byte order mark is skipped. A row
 * with too few or too many cells, with text after a closing quote, or whose quote is never closed, has a fault
 * and no cells.
 */
import { limits } from './limits.ts';

export interface CsvRow {
  /** As it stands in the file, without its line end. */
  text: string;
  /** By column. */
  cells: (string | undefined)[];
  /** Why the row cannot be read. */
  fault: string | undefined;
}

export type Separator = ',' | '\t';

/**
 * Reads a file in pieces of any length. What may go on in the next piece is held back; a row that grows longer than a
 * record may be ends with its line, so that a quote that is never closed costs one row and no more memory than that.
 */
export class CsvReader {
  readonly #separator: Separator;
  #held = '';
  #begun = false;
  /** Undefined until it was read: for ever, where the file is empty. */
  header: string[] | undefined;

  constructor(separator: Separator) {
    this.#separator = separator;
  }

  push(piece: string): CsvRow[] {
    return this.#read(this.#held + piece, false);
  }

  end(): CsvRow[] {
    return this.#read(this.#held, true);
  }

  #read(given: string, last: boolean): CsvRow[] {
    const text = this.#begun ? given : given.replace(/^\uFEFF/, '');
    this.#begun ||= text !== '';
    const rows: CsvRow[] = [];
    let at = 0;
    while (at < text.length) {
      let { cells, fault, end } = readRow(text, at, this.#separator);
      if (end - at > limits.record_bytes) {
        const line = text.indexOf('\n', at);
        [fault, end] = [`it is longer than ${limits.record_bytes} bytes`, line < 0 ? text.length : line];
      } else if (end === text.length && !last) break;
      const written = text.slice(at, end).replace(/\r$/, '');
      at = end + 1;
      if (written === '') continue;
      if (this.header) rows.push({ text: written, cells, fault: fault ?? unevenness(cells, this.header) });
      else this.header = cells.map((cell) => cell ?? '');
    }
    this.#held = text.slice(at);
    return rows;
  }
}

function unevenness(cells: unknown[], header: string[]): string | undefined {
  if (cells.length < header.length) return 'it has too few cells';
  return cells.length > header.length ? 'it has too many cells' : undefined;
}

/** Reads one row. `end` is the index of the LF that ends it, or the length of the text. */
function readRow(text: string, start: number, separator: Separator) {
  const cells: (string | undefined)[] = [];
  let fault: string | undefined;
  let at = start;
  for (;;) {
    if (text[at] === '"' && separator === ',') {
      const close = closingQuote(text, at);
      if (close === undefined) return { cells, fault: 'a quote is not closed', end: text.length };
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
