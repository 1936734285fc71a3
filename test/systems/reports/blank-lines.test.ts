/** Where the rows of a file stand among its blank lines. */
import { expect, test } from 'vitest';
import { BlankLinesFinder, lineFinder } from '../../../src/systems/reports/blank-lines.ts';

function found(text: string, pieceBytes: number) {
  const bytes = Buffer.from(text);
  const finder = new BlankLinesFinder();
  for (let at = 0; at < bytes.length; at += pieceBytes) finder.push(bytes.subarray(at, at + pieceBytes));
  finder.end();
  return finder.found;
}

// A row says in which line it stands.
// biome-ignore format: one line a case
test.each<[title: string, text: string]>([
  ['none', '1\n2\n3\n'],
  ['before the header', '\n\n3\n4\n'],
  ['behind a byte order mark', '\ufeff\n2\n3\n'],
  ['behind the header, and at the end', '1\n\n\n4\n5\n\n\n'],
  ['with CRLF', '1\r\n\r\n3\r\n\r\n5\r\n'],
  ['before each row', '\n2\n\n4\n\n6\n\n8\n\n\n11\n\n13'],
  ['before a last row without an end', '1\n2\n\n\n5'],
  ['beside rows of blanks and tabs, which are none', '1\n \n\t\n\n5\n'],
  ['between long rows', `1${' '.repeat(50)}\n\n3${' '.repeat(50)}\n4\n\n6${' '.repeat(50)}`],
])('blank lines: %s', (_, text) => {
  const rows = text
    .replace('\ufeff', '')
    .split('\n')
    .map((line, i) => (line.replace(/\r$/, '') === '' ? undefined : i + 1))
    .filter((line) => line !== undefined);
  for (const pieceBytes of [1, 2, 3, 5, 1_000]) {
    const lineOf = lineFinder(found(text, pieceBytes));
    expect(rows.map((_, row) => lineOf(row)), `in pieces of ${pieceBytes}`).toEqual(rows);
  }
});

test('a blank line before every row is one place; of too many places the first are known', () => {
  expect(found('\nx'.repeat(10_000).replaceAll('x', 'x\n'), 1_000).places).toEqual([[0, 10_000, 1]]);
  const mixed = found('x\n\nx\nx\n'.repeat(2_000), 1_000);
  expect(mixed.places).toHaveLength(1_000);
  const lineOf = lineFinder(mixed);
  expect([0, 1, 2, 3, 4].map(lineOf)).toEqual([1, 3, 4, 5, 7]);
  expect([lineOf(3_000), lineOf(3_001), lineOf(5_999)]).toEqual([4_001, undefined, undefined]);
});
