/**
 * Tables in text: one line a row, columns under their names, numbers to the right. In a terminal a cell that is too
 * long for the line is cut; where the output goes to a file nothing is.
 */
import { style, widthOf } from './terminal.ts';

export type TableCell = string | number | boolean | null | undefined;

export interface TableOptions {
  /** Columns whose cells stand to the right; those that hold nothing but numbers when not given. */
  right?: readonly string[];
}

const gap = '  ';
const cellMax = 200;

export function table(
  columns: readonly string[],
  rows: readonly (readonly TableCell[])[],
  options: TableOptions = {},
): string {
  const toTheRight = columns.map(
    (name, index) => options.right?.includes(name) ?? isNumbers(rows.map((row) => row[index])),
  );
  const texts = rows.map((row) => columns.map((_, index) => cellText(row[index])));
  for (const [index, right] of toTheRight.entries()) if (right) alignPoints(texts, index);
  const widths = columns.map((name, index) =>
    Math.max(lengthOf(name), ...texts.map((row) => lengthOf(row[index]!))),
  );
  shrink(widths, toTheRight);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => pad(cut(cell, widths[index]!), widths[index]!, toTheRight[index]!))
      .join(gap)
      .trimEnd();
  const head = style('bold', line(columns));
  return [head, ...texts.map(line)].join('\n');
}

/** Names and values below each other. */
export function list(pairs: readonly (readonly [string, TableCell])[]): string {
  const width = Math.max(...pairs.map(([name]) => lengthOf(name)));
  return pairs
    .map(([name, value]) => `${style('bold', pad(name, width, false))}${gap}${cellText(value)}`)
    .join('\n');
}

/** Control characters of a value must not reach the terminal. */
export function cellText(value: TableCell): string {
  if (value === null || value === undefined) return '-';
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) =>
    character === '\n' || character === '\t' ? ' ' : '\u00b7',
  );
}

function isNumbers(cells: readonly TableCell[]): boolean {
  const given = cells.filter((cell) => cell !== null && cell !== undefined);
  return (
    given.length > 0 &&
    given.every(
      (cell) =>
        typeof cell === 'number' || (typeof cell === 'string' && /^-?[0-9][0-9,]*(\.[0-9]+)?$/.test(cell)),
    )
  );
}

/** Puts decimal points below each other: 3.14 and 10 become `3.14` and `10   `. */
function alignPoints(texts: string[][], index: number): void {
  const afterPoint = (text: string): number =>
    /^-?[0-9]+\.[0-9]+$/.test(text) ? text.length - text.indexOf('.') : 0;
  const most = Math.max(0, ...texts.map((row) => afterPoint(row[index]!)));
  for (const row of texts) {
    const text = row[index]!;
    if (most > 0 && /^-?[0-9]+(\.[0-9]+)?$/.test(text))
      row[index] = text + ' '.repeat(most - afterPoint(text));
  }
}

/** Makes the widest columns of text narrower until the line fits the terminal. */
function shrink(widths: number[], fixed: readonly boolean[]): void {
  const room = widthOf(process.stdout);
  if (room === undefined) return;
  for (let index = 0; index < widths.length; index++)
    if (!fixed[index]) widths[index] = Math.min(widths[index]!, cellMax);
  const total = (): number => widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
  while (total() > room) {
    let widest = -1;
    for (let index = 0; index < widths.length; index++) {
      if (!fixed[index] && widths[index]! > 12 && (widest < 0 || widths[index]! > widths[widest]!))
        widest = index;
    }
    if (widest < 0) return;
    widths[widest] = Math.max(12, widths[widest]! - (total() - room));
  }
}

function lengthOf(text: string): number {
  return [...text].length;
}

function cut(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

function pad(text: string, width: number, right: boolean): string {
  const blanks = ' '.repeat(Math.max(0, width - lengthOf(text)));
  return right ? blanks + text : text + blanks;
}
