/** The receipt of an import, for people: what became of its records, how fast, and why the first were refused. */
import type { ImportCounts } from '../engine/import-state.ts';
import type { Reject } from '../engine/rejects.ts';
import { perSecond, secondsFigure, wholeFigure } from './figures.ts';
import { cellText, table } from './table.ts';
import { note, print, style } from './terminal.ts';

export interface FileReceipt {
  file: string;
  stream: string;
  /** Its number. */
  import: number;
  receipt: ImportCounts;
  /** The first. */
  rejects: Reject[];
  /** From its first byte to its commit. */
  seconds: number;
}

const countNames = ['received', 'accepted', 'duplicates', 'corrected', 'conflicts', 'rejected'] as const;

function countsLine(
  { receipt, seconds }: FileReceipt,
  names: readonly (typeof countNames)[number][],
): string[] {
  const counts = names.map((name) => wholeFigure(receipt[name]));
  return [...counts, secondsFigure(seconds), wholeFigure(perSecond(receipt.received, seconds))];
}

/** Several files, one a line; verdicts that none of them got are left out. */
export function receiptsTable(receipts: FileReceipt[]): string {
  const names = countNames.filter((name) => receipts.some(({ receipt }) => receipt[name] > 0));
  const columns = ['file', ...names, 'time', 'rows/s'];
  const rows = receipts.map((receipt) => [receipt.file, ...countsLine(receipt, names)]);
  return table(columns, rows, { right: columns.slice(1) });
}

/** `where`: the options with which a command finds the same ledger. */
export function printReceipt(receipt: FileReceipt, where: string): void {
  const columns = [...countNames, 'time', 'rows/s'];
  print(style('bold', receipt.file === '-' ? 'standard input' : receipt.file));
  print(table(columns, [countsLine(receipt, countNames)], { right: columns }));
  const refused = receipt.receipt.rejected + receipt.receipt.conflicts;
  if (refused === 0) return;
  note();
  for (const reject of receipt.rejects) note(rejectLine(reject));
  const all =
    refused > receipt.rejects.length
      ? `${wholeFigure(refused)} records were refused; all of them`
      : 'They are kept';
  note(`${all}: tallybook rejects list --import ${receipt.import}${where}`);
}

/** `record 17: price: 12.345 is not …`, with what came. */
export function rejectLine(
  { index, message, original, encoding }: Reject,
  stream: NodeJS.WriteStream = process.stderr,
): string {
  const found = encoding === 'utf8' ? cellText(original) : 'bytes that are no text';
  const shown = found.length > 100 ? `${found.slice(0, 99)}…` : found;
  const place = `${style('yellow', `record ${index + 1}`, stream)}`;
  return `${place}: ${cellText(message)}\n  ${style('dim', shown, stream)}`;
}
