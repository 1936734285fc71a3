/** What a backfill tells people: what it would read, what became of the rows, and whether the sums are equal. */
import type { ImportState } from '../../engine/import-state.ts';
import { counted, perSecond, secondsFigure, wholeFigure } from '../figures.ts';
import { table } from '../table.ts';
import { note, print, style } from '../terminal.ts';
import type { Comparison } from './compare.ts';
import { usageFields } from './mapping.ts';
import type { BackfillSource, Summary } from './source.ts';

const countNames = ['received', 'accepted', 'duplicates', 'corrected', 'conflicts', 'rejected'] as const;
export type Counts = Record<(typeof countNames)[number], number>;

export function countsOf(imports: readonly ImportState[]): Counts {
  const total = (name: (typeof countNames)[number]): number =>
    imports.reduce((sum, { counts }) => sum + (counts?.[name] ?? 0), 0);
  return Object.fromEntries(countNames.map((name) => [name, total(name)])) as Counts;
}

export function printPlan(
  { table: { name, type, idPrefix }, place, mapping }: BackfillSource,
  { sums }: Summary,
  rowsBefore: number,
): void {
  print(`${style('bold', name)}${place === name ? '' : ` of ${place}`}`);
  const rows = usageFields.map((field) => {
    const from = mapping[field] === undefined ? `always ${type}` : mapping[field];
    return [field, field === 'id' && idPrefix !== '' ? `${idPrefix} and ${from}` : from];
  });
  print(table(['field', 'column'], rows));
  print();
  print(sumsTable([['source', sums]]));
  if (rowsBefore > 0)
    note(`${counted(rowsBefore, 'row was', 'rows were')} taken in before and would not be read again.`);
}

function sumsTable(sides: [string, Summary['sums']][]): string {
  const rows = sides.flatMap(([side, sums]) =>
    sums.map(({ type, records, price, used }) => [side, type, wholeFigure(records), price, used]),
  );
  return table(['', 'type', 'records', 'sum(price)', 'sum(used)'], rows);
}

export function printOutcome(
  { table: { name } }: BackfillSource,
  counts: Counts,
  { source, tallybook, equal, reasons }: Comparison,
  { rowsBefore, seconds }: { rowsBefore: number; seconds: number },
): void {
  print(style('bold', name));
  const columns = [...countNames, 'time', 'rows/s'];
  const figures = countNames.map((count) => wholeFigure(counts[count]));
  print(
    table(columns, [[...figures, secondsFigure(seconds), wholeFigure(perSecond(counts.received, seconds))]], {
      right: columns,
    }),
  );
  print(
    sumsTable([
      ['source', source],
      ['Tallybook', tallybook],
    ]),
  );
  if (rowsBefore > 0)
    note(`${counted(rowsBefore, 'row was', 'rows were')} taken in before and not read again.`);
  print(equal ? style('green', 'The sums are equal.') : style('red', 'The sums differ.'));
  for (const reason of reasons) note(`- ${reason}`);
}

/** `where`: the options with which a command finds the same ledger. */
export function hintRejects(imports: readonly ImportState[], stream: string, where: string): void {
  const refused = imports.filter(({ counts }) => counts && counts.rejected + counts.conflicts > 0);
  if (refused.length === 0) return;
  const { rejected, conflicts } = countsOf(refused);
  const choice = refused.length === 1 ? `--import ${refused[0]!.id}` : `--stream ${stream}`;
  note(
    `${counted(rejected + conflicts, 'row was', 'rows were')} refused; with the reasons: tallybook rejects list ${choice}${where}`,
  );
}
