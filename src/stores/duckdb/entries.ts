/** Listing entries by order of arrival, and the fate of an id. */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import type { EntriesRequest, Entry, Fate, FateLine } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { outputSql, Parameters, selectionSql, trimDecimal } from './conditions.ts';
import type { Connection, Row } from './connection.ts';
import type { SeqRange } from './id-filter.ts';
import type { StreamBooks } from './ledger-state.ts';
import { rangesOf } from './lookup-filter.ts';
import { duplicatesOf, entriesOf, fieldValue } from './names.ts';
import { knownCondition } from './snapshot.ts';
import { standingConditions } from './standing.ts';

const fixedColumns = 5;

function entrySelect(stream: Stream): string {
  const fixed = [
    'cast(e._seq as varchar)',
    'e._part::double',
    'e._sign::integer',
    'cast(e._reverses as varchar)',
    'e._id',
  ];
  return `select ${[...fixed, ...valuesSql(stream)].join(', ')}`;
}

/** The values of an entry `e`, in the order of the fields. */
export function valuesSql(stream: Stream): string[] {
  return stream.fields.map((field) => outputSql(fieldValue(stream, field), field.type));
}

/** Their canonical texts, from what these columns gave. */
export function valuesOfRow(stream: Stream, columns: Row): (string | null)[] {
  return stream.fields.map(({ type }, i) => {
    const value = columns[i] ?? null;
    return value === null ? null : type === 'decimal' ? trimDecimal(String(value)) : String(value);
  });
}

async function readEntries(connection: Connection, stream: Stream, rows: Row[]): Promise<Entry[]> {
  const parts = await readParts(
    connection,
    rows.map((row) => row[1] as number),
  );
  return rows.map((row) => ({
    seq: row[0] as string,
    ...parts.get(row[1] as number)!,
    sign: row[2] as 1 | -1,
    reverses: row[3] as string | null,
    id: row[4] as string,
    values: valuesOfRow(stream, row.slice(fixedColumns)),
  }));
}

type Part = Pick<Entry, 'batch' | 'recorded_at' | 'source' | 'import' | 'reason'>;

async function readParts(connection: Connection, numbers: number[]): Promise<Map<number, Part>> {
  if (numbers.length === 0) return new Map();
  const parts = [...new Set(numbers)].sort((a, b) => a - b);
  // The bounds let the scan skip the rest.
  const rows = await connection.askOnce(
    `select part::double, batch::double, strftime(recorded_at, '%Y-%m-%dT%H:%M:%S.%fZ'), source, import::double, reason
     from parts where part between ${parts[0]} and ${parts.at(-1)} and part in (${parts.join(', ')})`,
  );
  return new Map(
    rows.map(([part, batch, recordedAt, source, importId, reason]) => [
      part as number,
      {
        batch: batch as number,
        recorded_at: recordedAt as string,
        source: source as string,
        import: importId as number | null,
        reason: reason as string | null,
      },
    ]),
  );
}

/** What the store knows of a stream without asking. */
export type KnownOfStream = Pick<StreamBooks, 'nextSeq' | 'hasReversals' | 'lookups'>;

/**
 * A page of entries. The seqs of its rows are looked for in windows that grow, from the end where the page begins: most
 * pages are found in the first, and what is rare takes a scan of the columns that are asked about. All columns are read
 * of the rows found and of no others. In one statement, the sort read all of them of every row that fits: 1.7 s for the
 * last 100 of 10 million, where this takes 15 ms.
 *
 * What is looked for by a field with a filter (lookup-filter.ts) is rare, or nearly always: such rows are read at once,
 * without a sort. To find the 20 events of a session among 1.7 million and then read them took two scans, 67 ms, not 43.
 */
export async function listEntries(
  connection: Connection,
  request: EntriesRequest,
  ofStream: KnownOfStream,
): Promise<Entry[]> {
  return connection.transaction(async () => {
    const { stream, standing, newestFirst, source, limit } = request;
    const parameters = new Parameters();
    const known = await knownCondition(connection, request.knownAt);
    const conditions = selectionSql(stream, request, parameters);
    if (!standing && known !== '') conditions.push(known);
    if (source !== undefined)
      conditions.push(
        `e._part in (select part from parts where source = ${parameters.add(source, 'varchar')})`,
      );
    const within = (range: SeqRange): string => {
      const all = [
        `e._seq between ${range.from} and ${range.to}`,
        ...(standing ? standingConditions(stream, known, ofStream.hasReversals, range) : []),
        ...conditions,
      ];
      return `from ${entriesOf(stream)} e where ${all.join(' and ')}`;
    };
    const ask = (sql: string) => connection.askOnce(sql, parameters.values);
    const order = `order by e._seq ${newestFirst ? 'desc' : 'asc'}`;
    const ranges = await rangesOf(connection, ofStream.lookups, request.where);
    const rows: Row[] = [];
    const seqs: bigint[] = [];
    let rare = ranges !== undefined;
    for (const window of windows(request, ofStream.nextSeq, ranges)) {
      const missing = limit - rows.length - seqs.length;
      if (rare) {
        const found = await ask(`${entrySelect(stream)} ${within(window)} limit ${rareRows * limit + 1}`);
        rare = found.length <= rareRows * limit;
        if (rare) rows.push(...inOrder(found, newestFirst).slice(0, missing));
      }
      if (!rare) {
        const found = await ask(`select e._seq ${within(window)} ${order} limit ${missing}`);
        for (const [seq] of found) seqs.push(seq as bigint);
      }
      if (rows.length + seqs.length >= limit) break;
    }
    if (seqs.length > 0) {
      const [first, last] = [seqs[0]!, seqs.at(-1)!];
      const page = first < last ? { from: first, to: last } : { from: last, to: first };
      rows.push(...(await ask(`${entrySelect(stream)} ${within(page)} ${order}`)));
    }
    return rows.length > 0 ? readEntries(connection, stream, rows) : [];
  });
}

/** A value that is looked for and stands in no more rows of a window than so many times the page is read in one go. */
const rareRows = 4;

/** Rows of entries by their seq, the first column. */
function inOrder(rows: Row[], descending: boolean): Row[] {
  const bySeq = rows.map((row) => [BigInt(row[0] as string), row] as const);
  bySeq.sort(([a], [b]) => (a < b === descending ? 1 : -1));
  return bySeq.map(([, row]) => row);
}

/** Of 65,000 entries at first: a row takes two seqs. */
const firstWindow = 1n << 17n;
const windowGrowth = 8n;

/** Ranges of seqs, one after the other, in the order of the list. */
function* windows(
  { newestFirst, after }: EntriesRequest,
  nextSeq: bigint,
  ranges: readonly SeqRange[] | undefined,
): Generator<SeqRange> {
  const start = after === undefined ? undefined : BigInt(after);
  if (ranges) {
    for (const { from, to } of newestFirst ? ranges.toReversed() : ranges) {
      const range = {
        from: newestFirst || start === undefined || start < from ? from : start + 1n,
        to: !newestFirst || start === undefined || start > to ? to : start - 1n,
      };
      if (range.from <= range.to) yield range;
    }
    return;
  }
  let width = firstWindow;
  if (newestFirst) {
    for (let to = start === undefined ? nextSeq : start - 1n; to >= 0n; to -= width, width *= windowGrowth)
      yield { from: to < width ? 0n : to - width + 1n, to };
    return;
  }
  for (let from = start === undefined ? 0n : start + 1n; from <= nextSeq; ) {
    yield { from, to: from + width - 1n };
    from += width;
    width *= windowGrowth;
  }
}

/** @param rangesOfId where entries of the id may stand, of all that is committed when it is called */
export async function fateOf(
  connection: Connection,
  stream: Stream,
  id: string,
  rangesOfId: () => SeqRange[],
): Promise<Fate> {
  return connection.transaction(async () => {
    // First: from then on the transaction sees nothing that is committed later, for which the ranges would be too old.
    const refused = await refusals(connection, stream, id);
    const found = await entriesOfId(connection, stream, id, rangesOfId());
    const entries = await readEntries(connection, stream, found);
    const reversed = new Map(
      entries.flatMap((entry) => (entry.reverses === null ? [] : [[entry.reverses, entry] as const])),
    );
    const lines: [order: number, line: FateLine][] = [];
    const common = ({ batch, recorded_at, source, import: importId, reason }: Entry) => ({
      batch,
      recorded_at,
      source,
      import: importId,
      reason,
    });
    for (const [i, entry] of entries.entries()) {
      const next = entries[i + 1];
      const before = entries[i - 1];
      if (entry.sign === 1) {
        // A reversal right before, in the same part and row, makes a correction; its seq is one less.
        const corrects =
          before?.sign === -1 &&
          found[i - 1]![1] === found[i]![1] &&
          BigInt(before.seq) + 1n === BigInt(entry.seq);
        lines.push([
          Number(entry.seq),
          { verdict: corrects ? 'corrected' : 'accepted', ...common(entry), values: entry.values },
        ]);
      } else if (
        !(
          next?.sign === 1 &&
          found[i + 1]![1] === found[i]![1] &&
          BigInt(entry.seq) + 1n === BigInt(next.seq)
        )
      ) {
        lines.push([Number(entry.seq), { verdict: 'retracted', ...common(entry), values: entry.values }]);
      }
    }
    lines.push(...(await repeats(connection, stream, entries)), ...refused);
    lines.sort(([a, x], [b, y]) =>
      x.recorded_at < y.recorded_at ? -1 : x.recorded_at > y.recorded_at ? 1 : a - b,
    );
    return {
      standing: entries.findLast((entry) => entry.sign === 1 && !reversed.has(entry.seq)) ?? null,
      lines: lines.map(([, line]) => line),
    };
  });
}

/**
 * From the first to the last of the entries of a range that have some hash, or undefined. Most often nothing is there: a
 * look at the hashes alone tells, 5 ms for a million entries. To read all of their columns at once would take 50.
 */
export async function boundsWithin(
  connection: Connection,
  stream: Stream,
  { from, to }: SeqRange,
  hasHash: string,
  parameters: readonly string[] = [],
): Promise<SeqRange | undefined> {
  const [[first, last] = []] = await connection.askOnce(
    `select min(_seq), max(_seq) from ${entriesOf(stream)} where _seq between ${from} and ${to} and ${hasHash}`,
    parameters,
  );
  return first === null ? undefined : { from: first as bigint, to: last as bigint };
}

async function entriesOfId(
  connection: Connection,
  stream: Stream,
  id: string,
  ranges: readonly SeqRange[],
): Promise<Row[]> {
  const rows: Row[] = [];
  const hasHash = '_hash = hash($1::varchar)';
  for (const range of ranges) {
    const found = await boundsWithin(connection, stream, range, hasHash, [id]);
    if (!found) continue;
    const entries = `${entrySelect(stream)} from ${entriesOf(stream)} e
      where _seq between ${found.from} and ${found.to} and ${hasHash} and _id = $1::varchar order by _seq`;
    rows.push(...(await connection.askOnce(entries, [id])));
  }
  return rows;
}

async function repeats(
  connection: Connection,
  stream: Stream,
  entries: Entry[],
): Promise<[number, FateLine][]> {
  if (entries.length === 0) return [];
  const rows = await connection.askOnce(
    `select _part::double from ${duplicatesOf(stream)} where _seq in (${entries.map((entry) => entry.seq).join(', ')})`,
  );
  const parts = await readParts(
    connection,
    rows.map(([part]) => part as number),
  );
  return rows.map(([part]) => [
    Number.MAX_SAFE_INTEGER,
    { verdict: 'duplicate', ...parts.get(part as number)!, values: null },
  ]);
}

/** Conflicts and rejects of the id stand in the stream of rejects. */
async function refusals(connection: Connection, stream: Stream, id: string): Promise<[number, FateLine][]> {
  const rows = await connection.askOnce(
    `${entrySelect(rejectsStream)} from ${entriesOf(rejectsStream)} e where e._sign = 1 and e.stream = $1::varchar and e.record_id = $2::varchar order by e._seq`,
    [stream.name, id],
  );
  const code = rejectsStream.fields.findIndex((field) => field.name === 'code');
  const entries = await readEntries(connection, rejectsStream, rows);
  return entries.map((entry) => [
    Number.MAX_SAFE_INTEGER,
    {
      verdict: entry.values[code] === 'conflict' ? 'conflict' : 'rejected',
      batch: entry.batch,
      recorded_at: entry.recorded_at,
      source: entry.source,
      import: entry.import,
      reason: entry.values[code] ?? null,
      values: null,
    },
  ]);
}
