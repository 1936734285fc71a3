/** Listing entries by order of arrival, and the fate of an id. */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import type { EntriesRequest, Entry, Fate, FateLine } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { Parameters, selectionSql } from './conditions.ts';
import type { Connection } from './connection.ts';
import { hashOf } from './draft.ts';
import { knownCondition, type LedgerState, readParts } from './ledger-state.ts';
import { type Cell, commitsTable, duplicatesOf, entriesOf, fieldValue, textOf } from './names.ts';
import { seen, standingConditions } from './standing.ts';

const fixedColumns = 5;

function entrySelect(stream: Stream): string {
  const values = stream.fields.map((field) => fieldValue(stream, field));
  return `select ${['_e._seq', '_e._part', '_e._sign', '_e._reverses', '_e._id', ...values].join(', ')} from ${entriesOf(stream)} _e`;
}

async function readEntries(connection: Connection, stream: Stream, rows: Cell[][]): Promise<Entry[]> {
  const parts = await readParts(
    connection,
    rows.map((row) => row[1]!),
  );
  return rows.map((row) => ({
    seq: String(row[0]),
    ...parts.get(String(row[1]))!,
    sign: Number(row[2]) as 1 | -1,
    reverses: row[3] === null ? null : String(row[3]),
    id: String(row[4]),
    values: stream.fields.map((field, i) => textOf(field, row[fixedColumns + i]!)),
  }));
}

export async function listEntries(
  connection: Connection,
  state: LedgerState,
  request: EntriesRequest,
): Promise<Entry[]> {
  const { stream, standing, newestFirst, source, after, limit } = request;
  const parameters = new Parameters();
  const known = seen(stream, state, knownCondition(request.knownAt));
  const conditions = [
    ...(standing ? standingConditions(stream, known) : known),
    ...selectionSql(stream, request, parameters),
  ];
  if (source !== undefined)
    conditions.push(
      `_e._part in (select part from ${commitsTable} where kind = 'part' and source = ${parameters.add(source, 'String')})`,
    );
  if (after !== undefined) conditions.push(`_e._seq ${newestFirst ? '<' : '>'} ${BigInt(after)}`);
  const rows = await connection.rows(
    `${entrySelect(stream)} where ${conditions.join(' and ')} order by _e._seq ${newestFirst ? 'desc' : 'asc'} limit ${limit}`,
    parameters.values,
  );
  return readEntries(connection, stream, rows);
}

/** Lines of an id, each with where it stands within its batch: what was taken in, repeats, what was refused. */
type Told = [order: 0 | 1 | 2, line: FateLine];

export async function fateOf(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  id: string,
): Promise<Fate> {
  const parameters = new Parameters();
  const ofTheId = `_e._hash = ${hashOf(id)} and _e._id = ${parameters.add(id, 'String')}`;
  const found = await connection.rows(
    `${entrySelect(stream)} where ${ofTheId} and ${seen(stream, state, '').join(' and ')} order by _e._seq`,
    parameters.values,
  );
  const entries = await readEntries(connection, stream, found);
  const reversed = new Set(entries.map(({ reverses }) => reverses));
  // A correction writes a reversal and the record right behind it, in one part; a retraction has a part of its own.
  const corrects = (i: number): boolean =>
    entries[i]?.sign === -1 &&
    entries[i + 1]?.sign === 1 &&
    found[i]![1] === found[i + 1]![1] &&
    BigInt(entries[i]!.seq) + 1n === BigInt(entries[i + 1]!.seq);
  const told = entries.flatMap((entry, i): Told[] => {
    if (entry.sign === -1 && corrects(i)) return [];
    const verdict = entry.sign === -1 ? 'retracted' : corrects(i - 1) ? 'corrected' : 'accepted';
    return [[0, { verdict, ...common(entry), values: entry.values }]];
  });
  const [again, refused] = await Promise.all([
    repeats(connection, state, stream, entries),
    refusals(connection, state, stream, id),
  ]);
  const lines = [...told, ...again, ...refused];
  lines.sort(([a, x], [b, y]) =>
    x.recorded_at < y.recorded_at ? -1 : x.recorded_at > y.recorded_at ? 1 : a - b,
  );
  return {
    standing: entries.findLast((entry) => entry.sign === 1 && !reversed.has(entry.seq)) ?? null,
    lines: lines.map(([, line]) => line),
  };
}

function common({
  batch,
  recorded_at,
  source,
  import: imported,
  reason,
}: Omit<FateLine, 'verdict' | 'values'>): Omit<FateLine, 'verdict' | 'values'> {
  return { batch, recorded_at, source, import: imported, reason };
}

async function repeats(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  entries: Entry[],
): Promise<Told[]> {
  if (entries.length === 0) return [];
  const rows = await connection.rows(
    `select _part from ${duplicatesOf(stream)} where _seq in (${entries.map(({ seq }) => seq).join(', ')}) and ${state.visible()}`,
  );
  const numbers = rows.map(([part]) => part!);
  const parts = await readParts(connection, numbers);
  return numbers.map((part) => [
    1,
    { verdict: 'duplicate', ...common(parts.get(String(part))!), values: null },
  ]);
}

/** Conflicts and rejects of the id stand in the stream of rejects. */
async function refusals(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  id: string,
): Promise<Told[]> {
  const parameters = new Parameters();
  const rows = await connection.rows(
    `${entrySelect(rejectsStream)} where _e._sign = 1 and _e.stream = ${parameters.add(stream.name, 'String')}
       and _e.record_id = ${parameters.add(id, 'String')} and ${state.visible()} order by _e._seq`,
    parameters.values,
  );
  const code = rejectsStream.fields.findIndex((field) => field.name === 'code');
  const entries = await readEntries(connection, rejectsStream, rows);
  return entries.map((entry) => [
    2,
    {
      ...common(entry),
      verdict: entry.values[code] === 'conflict' ? 'conflict' : 'rejected',
      reason: entry.values[code] ?? null,
      values: null,
    },
  ]);
}
