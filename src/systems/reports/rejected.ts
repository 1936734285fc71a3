/** The lines of a report that were rejected, as a table to download: line number, column, value and reason. */
import { limits } from '../../engine/limits.ts';
import type { Reject, RejectFilter } from '../../engine/rejects.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { lineFinder } from './blank-lines.ts';
import type { Report } from './report.ts';

/** In the order of the lines. */
export async function* rejectedLines(
  tallybook: Tallybook,
  { id, blank_lines }: Report,
): AsyncGenerator<string> {
  const lineOf = lineFinder(blank_lines ?? { places: [], unknown_from: null });
  const unread = eachReject(tallybook, { import: id, code: unreadable });
  const others = eachReject(tallybook, { import: id, where: { code: { ne: unreadable } } });
  let lines = ['line\tcolumn\tvalue\treason\n'];
  for await (const reject of merged(unread, others)) {
    // Row 0 is the header.
    lines.push(shown(reject, lineOf(reject.index + 1)));
    if (lines.length < limits.page_rows) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');
}

/** Rows with this code are read apart from others by DuckDB's store, and come behind them. */
const unreadable = 'unreadable';

async function* eachReject(tallybook: Tallybook, filter: RejectFilter): AsyncGenerator<Reject> {
  let cursor: string | undefined;
  do {
    const page = { size: limits.page_rows, cursor, newestFirst: false };
    const { rejects, next } = await tallybook.rejects.list(filter, page);
    yield* rejects;
    cursor = next;
  } while (cursor !== undefined);
}

async function* merged(a: AsyncGenerator<Reject>, b: AsyncGenerator<Reject>): AsyncGenerator<Reject> {
  let [first, second] = [await a.next(), await b.next()];
  while (!first.done || !second.done) {
    if (second.done || (!first.done && first.value.index < second.value.index)) {
      yield first.value;
      first = await a.next();
    } else {
      yield second.value;
      second = await b.next();
    }
  }
}

function shown({ field, message, original, encoding }: Reject, line: number | undefined): string {
  const value = field === null ? (encoding === 'utf8' ? original : '') : valueIn(original, field);
  return `${[String(line ?? ''), field ?? '', value, message].map(cell).join('\t')}\n`;
}

function valueIn(original: string, field: string): string {
  try {
    const record = JSON.parse(original) as Record<string, unknown>;
    return String(record[field] ?? '');
  } catch {
    return '';
  }
}

/** Tabs and ends of lines would break the table. */
function cell(text: string): string {
  return text.replace(/[\t\r\n]+/g, ' ');
}
