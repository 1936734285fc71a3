/**
 * A reader of CSV (RFC 4180) and TSV: a header row, then rows of as many cells.
 *
 * A cell of CSV may be quoted; then it may hold separators, line ends and doubled quotes, and an empty one is the
 * empty text. In TSV a quote is a character like others. An empty cell without quotes is a missing value. Lines
 * end with LF or CRLF, the last one need not. Blank lines count for nothing, a byte order mark is skipped. A row
 * with too few or too many cells, with text after a closing quote, or whose quote is never closed, has a fault
 * and no cells.
 */
export interface CsvRow {
  /** As it stands in the file, without its line end. */
  text: string;
  /** By column. */
  cells: (string | undefined)[];
  /** Why the row cannot be read. */
  fault: string | undefined;
}

export interface CsvFile {
  /** Undefined where the file is empty. */
  header: string[] | undefined;
  rows: CsvRow[];
}

export type Separator = ',' | '\t';

export function readCsv(text: string, separator: Separator): CsvFile {
  const [first, ...rest] = splitRows(text.replace(/^\uFEFF/, ''), separator);
  const header = first?.cells.map((cell) => cell ?? '');
  const rows = rest.map((row): CsvRow => {
    const missing = header!.length - row.cells.length;
    const fault = missing > 0 ? 'it has too few cells' : missing < 0 ? 'it has too many cells' : undefined;
    return { ...row, fault: row.fault ?? fault };
  });
  return { header, rows };
}

function splitRows(text: string, separator: Separator): CsvRow[] {
  const rows: CsvRow[] = [];
  let at = 0;
  while (at < text.length) {
    const { cells, fault, end } = readRow(text, at, separator);
    const written = text.slice(at, end).replace(/\r$/, '');
    if (written !== '') rows.push({ text: written, cells, fault });
    at = end + 1;
  }
  return rows;
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
