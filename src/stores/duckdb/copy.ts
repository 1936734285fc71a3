/** Reading a ledger as it is kept, and filling one with another's (engine/ledger-copy.ts). */
import {
  blockRows,
  bucketRanges,
  type CopiedBlock,
  type CopiedEntry,
  type CopiedPart,
  type CopiedSums,
  type CopyMark,
  checkMark,
  goneOn,
  type KeptCopy,
  type LedgerFiller,
  type LedgerReader,
  notEmpty,
  type Tally,
} from '../../engine/copied-ledger.ts';
import { fromScaled, toScaled } from '../../engine/decimal.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Mode } from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { keptParts } from './append.ts';
import { outputSql, trimDecimal } from './conditions.ts';
import type { Connection, Row } from './connection.ts';
import { duplicatesOf, entriesOf, fieldValue, quote, rollupOf, sqlType, storedFields } from './names.ts';
import { bucketType, intoRollup, isNarrow, overflowColumn, scaleOf, sumColumn } from './schema.ts';
import { inUnits } from './signed-sums.ts';
import { lastSeqKey, setBook } from './tend.ts';

type Read = <T>(work: (connection: Connection) => Promise<T>) => Promise<T>;

/** Under this name the book says of which ledger this is a copy. */
export const copyKey = 'copy';

export async function keptCopy(connection: Connection): Promise<KeptCopy | undefined> {
  const [row] = await connection.askOnce('select value from book where key = $1::varchar', [copyKey]);
  return row && (JSON.parse(row[0] as string) as KeptCopy);
}

// --- reading ------------------------------------------------------------------------------------------------

export function ledgerReader(read: Read): LedgerReader {
  return {
    mark: () => read(markOf),
    parts: () => readParts(read),
    blocks: (stream, after) => readBlocks(read, stream, after),
    droppedSums: (stream, rollup) => readDroppedSums(read, stream, rollup),
    lastSeq: (stream) => read((connection) => lastSeqOf(connection, stream)),
    tally: (stream) => read((connection) => tallyOf(connection, stream)),
  };
}

async function lastSeqOf(connection: Connection, stream: Stream): Promise<bigint> {
  const { lastSeq } = await tallyOf(connection, stream);
  const [row] = await connection.askOnce('select value from book where key = $1::varchar', [
    lastSeqKey(stream),
  ]);
  const kept = BigInt((row?.[0] as string | undefined) ?? 0);
  return kept > lastSeq ? kept : lastSeq;
}

async function markOf(connection: Connection): Promise<CopyMark> {
  const [last] = await connection.askOnce(
    `select batch::double, ${outputSql('recorded_at', 'timestamp')} from parts order by recorded_at desc, part desc limit 1`,
  );
  const [count] = await connection.askOnce('select count(*)::double from parts');
  return {
    batch: (last?.[0] as number | undefined) ?? 0,
    recorded_at: (last?.[1] as string | undefined) ?? '',
    parts: count![0] as number,
  };
}

const countNames = ['accepted', 'duplicates', 'corrected', 'conflicts', 'rejected', 'retracted'] as const;

async function* readParts(read: Read): AsyncIterable<CopiedPart[]> {
  let after: [at: bigint, part: bigint] = [-(2n ** 62n), 0n];
  for (;;) {
    const rows = await read((connection) =>
      connection.askOnce(
        `select part, batch::double, epoch_us(recorded_at), stream, mode, source, import::double, reason, ${countNames.map((name) => `${name}::double`).join(', ')}
         from parts where recorded_at >= make_timestamp($1::bigint) and (recorded_at > make_timestamp($1::bigint) or part > $2::bigint)
         order by recorded_at, part limit ${blockRows}`,
        after,
      ),
    );
    if (rows.length === 0) return;
    yield rows.map(partOf);
    const last = rows.at(-1)!;
    after = [last[2] as bigint, last[0] as bigint];
  }
}

function partOf([
  number,
  batch,
  recordedAt,
  stream,
  mode,
  source,
  imported,
  reason,
  ...counts
]: Row): CopiedPart {
  return {
    number: number as bigint,
    batch: batch as number,
    recordedAt: recordedAt as bigint,
    stream: stream as string,
    mode: mode as Mode,
    source: source as string,
    import: imported as number | null,
    reason: reason as string | null,
    counts: Object.fromEntries(
      countNames.map((name, i) => [name, counts[i] as number]),
    ) as unknown as CopiedPart['counts'],
  };
}

async function* readBlocks(read: Read, stream: Stream, after: bigint): AsyncIterable<CopiedBlock> {
  for (let from = after; ; ) {
    const block = await read((connection) => readBlock(connection, stream, from));
    if (!block) return;
    yield block;
    from = block.to;
  }
}

async function readBlock(
  connection: Connection,
  stream: Stream,
  after: bigint,
): Promise<CopiedBlock | undefined> {
  const [first] = await connection.askOnce(
    `select min(_seq) from ${entriesOf(stream)} where _seq > $1::bigint`,
    [after],
  );
  if (first![0] === null) return undefined;
  const from = first![0] as bigint;
  const values = stream.fields.map((field) => `, ${outputSql(fieldValue(stream, field), field.type)}`);
  // The upper bound keeps the scan from reading, and sorting, all that follows.
  const rows = await connection.askOnce(
    `select e._seq, e._part, e._sign::integer, e._reverses, ${outputSql('e._id', 'text')}${values.join('')}
     from ${entriesOf(stream)} e where e._seq between $1::bigint and $2::bigint order by e._seq limit ${blockRows}`,
    [from, from + BigInt(4 * blockRows)],
  );
  const entries = rows.map(
    ([seq, part, sign, reverses, id, ...texts]): CopiedEntry => ({
      seq: seq as bigint,
      part: part as bigint,
      sign: sign as 1 | -1,
      reverses: reverses as bigint | null,
      id: id as string,
      values: stream.fields.map((field, i) => canonical(field, texts[i] ?? null)),
    }),
  );
  const to = entries.at(-1)!.seq;
  const repeats = await connection.askOnce(
    `select _seq, _part from ${duplicatesOf(stream)} where _seq > $1::bigint and _seq <= $2::bigint order by _seq, _part`,
    [after, to],
  );
  return {
    to,
    entries,
    repeats: repeats.map(([seq, part]) => ({ seq: seq as bigint, part: part as bigint })),
  };
}

function canonical(field: Field, value: Row[number]): string | null {
  if (value === null) return null;
  return field.type === 'decimal' ? trimDecimal(String(value)) : String(value);
}

/** The bucket as a whole number. */
function bucketNumber(rollup: Rollup): string {
  const type = bucketType(rollup);
  if (type === undefined) return 'cast(0 as bigint)';
  return type === 'date' ? `cast(_bucket - date '1970-01-01' as bigint)` : 'epoch_us(_bucket)';
}

async function* readDroppedSums(read: Read, stream: Stream, rollup: Rollup): AsyncIterable<CopiedSums[]> {
  const dropped = `from ${rollupOf(stream, rollup)} where _dropped`;
  const counts = await read((connection) =>
    connection.askOnce(`select ${bucketNumber(rollup)} as b, count(*)::double ${dropped} group by b`),
  );
  const keys = ['b', ...rollup.by.map((_, i) => `d${i}`)].join(', ');
  const columns = [
    `${bucketNumber(rollup)} as b`,
    ...rollup.by.map((field, i) => `${outputSql(quote(field.name), field.type)} as d${i}`),
    ...rollup.sum.map((field) => {
      const [kept, over] = [sumColumn(field), overflowColumn(field)];
      // Of wide decimals the second column is in units.
      return isNarrow(field)
        ? `cast(coalesce(sum(${kept}), 0) + coalesce(sum(${over}), 0) as varchar)`
        : `cast(sum(${inUnits(`coalesce(${kept}, 0)`)} + coalesce(${over}, cast(0 as bignum))) as varchar)`;
    }),
    'sum(_count)::bigint',
  ];
  for (const { from, to } of bucketRanges(counts.map(([b, rows]) => [b as bigint, rows as number]))) {
    const rows = await read((connection) =>
      connection.askOnce(
        `select ${columns.join(', ')} ${dropped} and ${bucketNumber(rollup)} between ${from} and ${to} group by ${keys}`,
      ),
    );
    yield rows.map(([bucket, ...cells]): CopiedSums => {
      const sums = cells.slice(rollup.by.length, -1) as string[];
      return {
        bucket: String(bucket),
        by: rollup.by.map((field, i) => canonical(field, cells[i]!)),
        sums: rollup.sum.map((field, i) =>
          isNarrow(field) ? toScaled(trimDecimal(sums[i]!), scaleOf(field)) : BigInt(sums[i]!),
        ),
        count: cells.at(-1) as bigint,
      };
    });
  }
}

async function tallyOf(connection: Connection, stream: Stream): Promise<Tally> {
  const [row] = await connection.askOnce(
    `select count(*)::double, count(*) filter (where _sign = -1)::double, coalesce(max(_seq), 0)::bigint,
      (select count(*) from ${duplicatesOf(stream)})::double
     from ${entriesOf(stream)}`,
  );
  const [entries, takenBack, lastSeq, repeats] = row!;
  return {
    entries: entries as number,
    takenBack: takenBack as number,
    repeats: repeats as number,
    lastSeq: lastSeq as bigint,
  };
}

// --- filling ------------------------------------------------------------------------------------------------

/**
 * Rows come as one JSON text, an array of cells for each, and are cast as they are inserted: so texts come as they are,
 * a byte-order mark or a zero included, which the driver's own way would cut.
 */
type CellText = string | null;
const cells = `(select unnest(from_json($1::varchar, '[["VARCHAR"]]')) as c)`;

/** @param place for people */
export function ledgerFiller(connection: Connection, place: string): LedgerFiller {
  return {
    begin: (mark) => begin(connection, mark, place),
    addParts: (parts) => connection.transaction(() => addParts(connection, parts)),
    async lastSeq(stream) {
      return (await tallyOf(connection, stream)).lastSeq;
    },
    addBlock: (stream, block) => connection.transaction(() => addBlock(connection, stream, block)),
    setDropped: (stream, { droppedBefore, rollupsCompleteFrom, lastSeq }, sums) =>
      connection.transaction(async () => {
        for await (const { rollup, rows } of sums) await addDroppedSums(connection, stream, rollup, rows);
        for (const [rollup, from] of rollupsCompleteFrom)
          await setBook(connection, `complete_from ${stream.name} ${rollup}`, String(from));
        await setBook(connection, lastSeqKey(stream), String(lastSeq));
        await setBook(connection, `dropped_before ${stream.name}`, String(droppedBefore));
      }),
    async finish() {
      const { of } = (await keptCopy(connection))!;
      await keepCopy(connection, { of, finished: true });
    },
  };
}

const keepCopy = (connection: Connection, copy: KeptCopy): Promise<void> =>
  connection.transaction(() => setBook(connection, copyKey, JSON.stringify(copy)));

async function begin(
  connection: Connection,
  mark: CopyMark,
  place: string,
): Promise<{ finished: boolean; parts: number }> {
  const copy = await keptCopy(connection);
  const now = await markOf(connection);
  if (!copy) {
    const streams = await connection.askOnce(
      "select 1 from duckdb_tables() where schema_name like 'stream\\_%' escape '\\' limit 1",
    );
    if (now.parts > 0 || streams.length > 0) throw notEmpty(place);
    await keepCopy(connection, { of: mark, finished: false });
    return { finished: false, parts: 0 };
  }
  checkMark(copy.of, mark);
  if (copy.finished && (now.parts !== mark.parts || now.recorded_at !== mark.recorded_at))
    throw goneOn(place);
  return { finished: copy.finished, parts: now.parts };
}

async function addParts(connection: Connection, parts: CopiedPart[]): Promise<void> {
  const names = [
    'part',
    'batch',
    'recorded_at',
    'stream',
    'mode',
    'source',
    'import',
    'reason',
    ...countNames,
  ];
  const types = ['bigint', 'bigint', '', 'varchar', 'varchar', 'varchar', 'bigint', 'varchar'];
  const columns = names.map((name, i) =>
    name === 'recorded_at'
      ? `make_timestamp(c[${i + 1}]::bigint)`
      : `cast(c[${i + 1}] as ${types[i] ?? 'bigint'})`,
  );
  const rows = parts.map((part): CellText[] => [
    String(part.number),
    String(part.batch),
    String(part.recordedAt),
    part.stream,
    part.mode,
    part.source,
    part.import === null ? null : String(part.import),
    part.reason,
    ...countNames.map((name) => String(part.counts[name])),
  ]);
  await connection.askOnce(
    `insert into parts (${names.join(', ')}) select ${columns.join(', ')} from ${cells}`,
    [JSON.stringify(rows)],
  );
}

async function addBlock(
  connection: Connection,
  stream: Stream,
  { entries, repeats }: CopiedBlock,
): Promise<void> {
  const fields = storedFields(stream);
  const at = fields.map((field) => stream.fields.indexOf(field));
  const rows = entries.map(({ seq, part, sign, reverses, id, values }): CellText[] => [
    String(seq),
    String(part),
    String(sign),
    reverses === null ? null : String(reverses),
    id,
    ...at.map((i) => values[i] ?? null),
  ]);
  const values = fields.map((field, i) => `, cast(c[${i + 6}] as ${sqlType(field)})`);
  await connection.askOnce(
    `insert into ${entriesOf(stream)} (_seq, _part, _sign, _reverses, _hash, _id${fields.map(({ name }) => `, ${quote(name)}`).join('')})
     select c[1]::bigint, c[2]::bigint, c[3]::tinyint, c[4]::bigint, hash(c[5]), c[5]${values.join('')} from ${cells}`,
    [JSON.stringify(rows)],
  );
  if (repeats.length === 0) return;
  await connection.askOnce(
    `insert into ${duplicatesOf(stream)} (_seq, _part) select c[1]::bigint, c[2]::bigint from ${cells}`,
    [JSON.stringify(repeats.map(({ seq, part }) => [String(seq), String(part)]))],
  );
}

/** The longest sum that 38 digits hold, in units. */
const widestSum = 10n ** 38n;

async function addDroppedSums(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  rows: CopiedSums[],
): Promise<void> {
  const type = bucketType(rollup);
  const bucket = type === 'date' ? `date '1970-01-01' + c[1]::integer` : 'make_timestamp(c[1]::bigint)';
  const first = 2 + rollup.by.length;
  const columns = [
    ...(type ? [bucket] : []),
    ...rollup.by.map((field, i) => `cast(c[${i + 2}] as ${sqlType(field)})`),
    ...rollup.sum.flatMap((field, i) => {
      const scale = scaleOf(field);
      const sum = `cast(c[${first + 2 * i}] as decimal(38, ${scale}))`;
      return keptParts(field, sum, `cast(c[${first + 2 * i + 1}] as bignum)`);
    }),
    `c[${first + 2 * rollup.sum.length}]::bigint`,
    'true',
  ];
  const texts = rows.map(({ bucket, by, sums, count }): CellText[] => [
    bucket,
    ...by,
    // What is wider than any decimal goes to the second column, whole.
    ...rollup.sum.flatMap((field, i): CellText[] => {
      const units = sums[i]!;
      const fits = units < widestSum && -units < widestSum;
      return fits ? [fromScaled(units, scaleOf(field)), null] : ['0', String(units)];
    }),
    String(count),
  ]);
  await connection.askOnce(`${intoRollup(stream, rollup)} select ${columns.join(', ')} from ${cells}`, [
    JSON.stringify(texts),
  ]);
}
