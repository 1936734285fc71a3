/** Markdown as far as the tests of the docs must read it: tables, fences, links, headings. */
import { read } from './source-files.ts';

/** The cells of a row, by the name of their column. */
export type Row = string[];

/** The rows of every table in a page whose first header is `first`. Throws when there is none. */
export function tables(path: string, first: string): Row[] {
  const lines = read(path).split('\n');
  const rows: Row[] = [];
  let found = false;
  for (let i = 0; i < lines.length; i++) {
    if (!isRow(lines[i]!) || cells(lines[i]!)[0] !== first || !/^\| *---/.test(lines[i + 1] ?? '')) continue;
    found = true;
    for (i += 2; isRow(lines[i] ?? ''); i++) rows.push(cells(lines[i]!));
  }
  if (!found) throw new Error(`${path} has no table that starts with "${first}"`);
  return rows;
}

const isRow = (line: string): boolean => line.startsWith('|');

function cells(line: string): Row {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());
}

/** What stands in backquotes. */
export function codes(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
}

/** The first code of the first cell of each row. */
export function names(rows: Row[]): string[] {
  return rows.map(([cell = '']) => codes(cell)[0] ?? cell);
}

export interface Fence {
  language: string;
  text: string;
}

export function fences(path: string): Fence[] {
  return [...read(path).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

/** The targets of a page's links, those in fences left out. */
export function links(path: string): string[] {
  const prose = withoutFences(read(path)).replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchors(path: string): string[] {
  return [...withoutFences(read(path)).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}

function withoutFences(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** The commands that a page shows: in fences of a session those after a `$`, in those of a shell each line. */
export function commands(path: string): string[] {
  return fences(path).flatMap(({ language, text }) => {
    const lines = text.split('\n');
    if (language === 'sh') return lines.filter((line) => line !== '');
    return lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  });
}
