/**
 * Records and entries of the ledger as JSON, and as tables. A stream may be a form of one: then what is shown has the
 * names of the form, and none of the fields that it fixes.
 */
import { fieldColumn } from '../engine/answer-columns.ts';
import { fitsForm } from '../engine/forms.ts';
import type { Column, Entry, Fate } from '../engine/store.ts';
import type { Stream } from '../engine/stream.ts';
import { rowWriter } from './formats.ts';
import type { Cell, Table } from './table.ts';

function columnsOf(stream: Stream): Column[] {
  return stream.named.map((field) => fieldColumn(field.name, field));
}

/** Canonical texts as cells: booleans are no texts in JSON. */
function cellsOf(stream: Stream, values: (string | null)[]): Cell[] {
  const cells: Cell[] = [];
  for (const [index, field] of stream.fields.entries()) {
    if (stream.of && !stream.named.includes(field)) continue;
    const value = values[index] ?? null;
    cells.push(field.type === 'boolean' && value !== null ? value === 'true' : value);
  }
  return cells;
}

/** Records without their history: where the stream declares no id, the one that was made comes first, as `_id`. */
export function recordsTable(stream: Stream, entries: Entry[]): Table {
  const made: Column[] = stream.id ? [] : [{ name: '_id', type: 'text' }];
  return {
    columns: [...made, ...columnsOf(stream)],
    rows: entries.map((entry) => [...(stream.id ? [] : [entry.id]), ...cellsOf(stream, entry.values)]),
  };
}

/** Entries with all the ledger knows of them, in one flat table. */
export function entriesTable(stream: Stream, entries: Entry[]): Table {
  const own: Column[] = [
    { name: '_seq', type: 'integer' },
    { name: '_batch', type: 'count' },
    { name: '_recorded_at', type: 'timestamp' },
    { name: '_sign', type: 'count' },
    { name: '_reverses', type: 'integer' },
    { name: '_source', type: 'text' },
    { name: '_import', type: 'count' },
    { name: '_reason', type: 'text' },
    { name: '_id', type: 'text' },
  ];
  return {
    columns: [...own, ...columnsOf(stream)],
    rows: entries.map((entry) => [
      entry.seq,
      entry.batch,
      entry.recorded_at,
      entry.sign,
      entry.reverses,
      entry.source,
      entry.import,
      entry.reason,
      entry.id,
      ...cellsOf(stream, entry.values),
    ]),
  };
}

/** A record that does not fit the form (of a history, from before it was moved) is shown in the stream's own. */
function recordWriter(stream: Stream): (values: (string | null)[]) => string {
  const write = rowWriter(columnsOf(stream));
  const other = stream.of && recordWriter(stream.of);
  return (values) => (other && !fitsForm(stream, values) ? other(values) : write(cellsOf(stream, values)));
}

export function standingJson(stream: Stream, entries: Entry[]): string[] {
  const record = recordWriter(stream);
  return entries.map(
    (entry) => `{"id":${JSON.stringify(entry.id)},"record":${record(entry.values)},${provenance(entry)}}`,
  );
}

export function entriesJson(stream: Stream, entries: Entry[]): string[] {
  const record = recordWriter(stream);
  return entries.map(
    (entry) =>
      `{"seq":"${entry.seq}","sign":${entry.sign},"reverses":${entry.reverses === null ? 'null' : `"${entry.reverses}"`}` +
      `,"id":${JSON.stringify(entry.id)},"record":${record(entry.values)},${provenance(entry)}}`,
  );
}

export function fateJson(stream: Stream, id: string, { standing, lines }: Fate): string {
  const record = recordWriter(stream);
  const history = lines.map(
    (line) =>
      `{"verdict":"${line.verdict}","record":${line.values === null ? 'null' : record(line.values)},${provenance(line)}}`,
  );
  const stands = standing ? standingJson(stream, [standing])[0] : 'null';
  return `{"id":${JSON.stringify(id)},"standing":${stands},"history":[${history.join(',')}]}`;
}

function provenance(line: Pick<Entry, 'batch' | 'recorded_at' | 'source' | 'import' | 'reason'>): string {
  return (
    `"batch":${line.batch},"recorded_at":"${line.recorded_at}","source":${JSON.stringify(line.source)}` +
    `,"import":${line.import},"reason":${JSON.stringify(line.reason)}`
  );
}
