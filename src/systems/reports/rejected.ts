/** The lines of a report that were rejected, as a table to download: line number, column, value and reason. */
import { limits } from '../../engine/limits.ts';
import type { Reject } from '../../engine/rejects.ts';
import type { Tallybook } from '../../engine/tallybook.ts';

/** In the order of the lines. The header of the file is line 1. */
export async function* rejectedLines(tallybook: Tallybook, report: number): AsyncGenerator<string> {
  yield 'line\tcolumn\tvalue\treason\n';
  let cursor: string | undefined;
  do {
    const page = { size: limits.page_rows, cursor, newestFirst: false };
    const { rejects, next } = await tallybook.rejects.list({ import: report }, page);
    yield rejects.map(lineOf).join('');
    cursor = next;
  } while (cursor !== undefined);
}

function lineOf({ index, field, message, original, encoding }: Reject): string {
  const value = field === null ? (encoding === 'utf8' ? original : '') : valueIn(original, field);
  return `${[String(index + 2), field ?? '', value, message].map(cell).join('\t')}\n`;
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
