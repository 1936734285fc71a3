/**
 * What a part appends once its verdicts are known: entries, duplicates, rejects and rollup rows. Nothing is ever
 * updated. What is the same for a part stands for good in the table `parts`: an entry has only its number. Row n of a part
 * takes the seq base + 2n + 1 for its record and base + 2n for taking one back.
 */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Mode } from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { recordMessages } from '../../engine/verdicts.ts';
import { bucketExpression } from './buckets.ts';
import { recordRefusals, refusalNumbers, refusalOf, refusedByCheck } from './casts.ts';
import type { Parameter } from './connection.ts';
import {
  columnList,
  duplicatesOf,
  entriesOf,
  entryColumns,
  literal,
  quote,
  rollupOf,
  storedFields,
} from './names.ts';
import type { PartTables } from './resolve.ts';
import { bucketType, intoRollup, isNarrow, overflowColumn, scaleOf, sumColumn } from './schema.ts';
import { inUnits, sumParts, wideLimit } from './signed-sums.ts';
import { undecodableMark } from './stage.ts';

const list = (fields: Field[], prefix = ''): string =>
  fields.length === 0 ? '' : `, ${columnList(fields, prefix)}`;

/** The seq and the part of a record; the stage of a file has only its rowid. */
const stagedNumbers = 't._seq, t._part';

/** How statements find the numbers of a row `r` that was resolved. */
interface ResolvedNumbers {
  /** What has them. */
  joined: string;
  /** The seq of its record, and its part. */
  seq: string;
  part: string;
  /** The seq of the record of an earlier row that it was held against, `prev_n`. */
  earlier: string;
}

/** They stand in the stage. */
const numbersInStage = ({ stage, n }: PartTables): ResolvedNumbers => ({
  joined: ` join ${stage} t on t.${n} = r._n`,
  seq: 't._seq',
  part: 't._part',
  earlier: 't._seq - 2 * (r._n - r.prev_n)',
});

/** @param base the first seq of a file */
export const numbersOfFile = (base: bigint, part: number): ResolvedNumbers => ({
  joined: '',
  seq: `${base} + 2 * r._n + 1`,
  part: String(part),
  earlier: `${base} + 2 * r.prev_n + 1`,
});

/** Entries of a part in which every well-formed record is new. */
export function appendNew(
  stream: Stream,
  { stage }: PartTables,
  numbers = stagedNumbers,
  hashAndId = 't._hash, t._id',
): string {
  return `insert into ${entriesOf(stream)} (${entryColumns(stream)})
    select ${numbers}, 1, null, ${hashAndId}${list(storedFields(stream), 't.')}
    from ${stage} t where t._bad is null`;
}

/** The same where some were suspects: only what is accepted or corrects. */
export function appendAccepted(
  stream: Stream,
  { stage, n, resolved }: PartTables,
  numbers = stagedNumbers,
): string {
  return `insert into ${entriesOf(stream)} (${entryColumns(stream)})
    select ${numbers}, 1, null, t._hash, t._id${list(storedFields(stream), 't.')}
    from ${stage} t left join ${resolved} r on r._n = t.${n}
    where t._bad is null and coalesce(r.verdict, 'accepted') in ('accepted', 'corrected')`;
}

/** Entries of sign -1: copies of what is taken back, be it an older entry or an earlier row of the same part. */
export function appendReversals(
  stream: Stream,
  tables: PartTables,
  { joined, seq, part, earlier } = numbersInStage(tables),
): string {
  const { stage, n, known, resolved } = tables;
  const fields = storedFields(stream);
  const head = `${seq} - 1, ${part}, -1`;
  return `insert into ${entriesOf(stream)} (${entryColumns(stream)})
    select ${head}, k._seq, k._hash, k._id${list(fields, 'k.')}
    from ${resolved} r${joined} join ${known} k on k._seq = r.prev_seq
    where r.verdict in ('corrected', 'retracted') and r.prev_n is null
    union all
    select ${head}, ${earlier}, p._hash, p._id${list(fields, 'p.')}
    from ${resolved} r${joined} join ${stage} p on p.${n} = r.prev_n
    where r.verdict = 'corrected' and r.prev_n is not null`;
}

export function appendDuplicates(
  stream: Stream,
  tables: PartTables,
  { joined, part, earlier } = numbersInStage(tables),
): string {
  return `insert into ${duplicatesOf(stream)} (_seq, _part)
    select case when r.prev_n is null then r.prev_seq else ${earlier} end, ${part}
    from ${tables.resolved} r${joined} where r.verdict = 'duplicate'`;
}

/** What the statement that appends rejects takes, in this order. */
export interface RejectsOfPart {
  /** The first seq of the rejects. */
  first: bigint;
  /** Where the deliveries begin in the part. */
  starts: readonly number[];
  mode: Mode;
  /** The bound of times that lie too far back, and too far ahead. */
  horizon: Micros;
  latest: Micros;
  /** Positions that are replayed, and must not be listed again. */
  replayed: readonly number[];
  part: number;
  source: string;
  import: number | undefined;
  recordedAt: Micros;
}

export function rejectsParameters(of: RejectsOfPart): Parameter[] {
  const [horizon, latest] = [formatTimestamp(of.horizon), formatTimestamp(of.latest)];
  const [starts, replayed] = [of.starts.join(','), of.replayed.join(',')];
  return [of.first, starts, of.mode, horizon, latest, replayed, of.part, of.source, of.import, of.recordedAt];
}

/**
 * Refused records and conflicts of a stream or a form of it, into the stream of rejects.
 * @param place the place of row n in what was sent
 */
export function appendRejects(stream: Stream, { stage, n, resolved }: PartTables, place = 'n'): string {
  const refusals = refusalNumbers(stream).map((number) => {
    const refusal = refusalOf(stream, number);
    // The message is written by the engine, around marks for what is filled in here.
    const [before = '', middle, after] = refusal.message('\u0001', '\u0002').split(/[\u0001\u0002]/);
    const field = number === recordRefusals.unknown_field ? '\u0001' : refusal.field;
    return `(${number}, ${literal(refusal.code)}, ${field === undefined ? 'null' : literal(field)}, ${literal(before)}, ${middle === undefined ? 'null' : literal(middle)}, ${after === undefined ? 'null' : literal(after)})`;
  });
  const special = `(-2, 'conflict', null, ${literal(recordMessages.conflict)}, null, null), (-3, 'not_found', null, ${literal(recordMessages.not_found)}, null, null), (${refusedByCheck}, null, null, '', null, null)`;
  const told = (name: string) => `json_extract_string(_found, '$.${name}')`;
  const columns = (stream.of ?? stream).fields;
  const columnOf = (field: Field) =>
    field === stream.id ? 't._id' : `t.${quote(columns[stream.fields.indexOf(field)]!.name)}`;
  const canonical = `to_json(struct_pack(${stream.named.map((f) => `${quote(f.name)} := ${columnOf(f)}::varchar`).join(', ')}))::varchar`;
  return `insert into ${entriesOf(rejectsStream)} (${entryColumns(rejectsStream)})
    with refusals (number, code, field, before, middle, after) as (values ${refusals.join(', ')}, ${special}),
    refused as (
      select ${n} as n, _line, _id, _found, _bad as number from ${stage} where _bad is not null
      union all
      select r._n, coalesce(t._line, ${canonical}), t._id, null, case r.verdict when 'conflict' then -2 else -3 end
      from ${resolved} r join ${stage} t on t.${n} = r._n where r.verdict in ('conflict', 'not_found')),
    numbered as (
      select *, $1::bigint + row_number() over (order by n) - 1 as seq from refused
      where $6 = '' or n not in (select try_cast(unnest(string_split($6::varchar, ',')) as integer)))
    select seq, $7::bigint, 1, null, hash('r' || seq), 'r' || seq,
      make_timestamp($10::bigint), ${literal(stream.name)}, $8::varchar, $9::bigint, $3::varchar,
      case when number = ${refusedByCheck} then ${told('code')} else code end,
      case when number = ${refusedByCheck} then ${told('field')} when field = '\u0001' then _found else field end,
      case when number = ${refusedByCheck} then ${told('message')} else before end || case when middle is null then '' else coalesce(_found, 'null') || middle end
        || case when after is null then '' else case code when 'too_old' then $4::varchar else $5::varchar end || after end,
      _id,
      (${place}) - coalesce(list_max(list_filter(string_split($2::varchar, ',')::integer[], lambda start: start <= n)), 0),
      case when starts_with(_line, ${literal(undecodableMark)}) then substr(_line, 2) else coalesce(_line, '') end,
      case when starts_with(_line, ${literal(undecodableMark)}) then 'base64' else 'utf8' end,
      ${stream.form === undefined ? 'null' : literal(stream.form)}
    from numbered join refusals using (number)`;
}

/**
 * Partial sums of a part, straight from its stage: for parts in which every well-formed record is new. Ordered by their
 * keys, as compaction leaves them, they would be asked about twice as fast until then; but a file of 5 million records
 * took 8.1 and 8.6 s, not 6.3 and 7.4.
 */
export function appendRollupOfNew(stream: Stream, rollup: Rollup, { stage }: PartTables): string {
  return `${intoRollup(stream, rollup)} ${rollupSums(stream, rollup, stage, 'where e._bad is null', 'false', false)}`;
}

/**
 * Partial sums of what a small part appends and takes back, from its own tables. The statement has no parameters and reads
 * no large table, so its plan is kept; the one that reads the ledger is planned anew at each run, for 4 ms.
 */
export function appendRollupOfResolved(
  stream: Stream,
  rollup: Rollup,
  { stage, n, known, resolved }: PartTables,
): string {
  const columns = (row: string, sign: number) =>
    `${sign} as _sign, ${row}._id${list(storedFields(stream), `${row}.`)}`;
  const touched = `(
    select ${columns('t', 1)} from ${stage} t left join ${resolved} r on r._n = t.${n}
    where t._bad is null and coalesce(r.verdict, 'accepted') in ('accepted', 'corrected')
    union all
    select ${columns('k', -1)} from ${resolved} r join ${known} k on k._seq = r.prev_seq
    where r.verdict in ('corrected', 'retracted') and r.prev_n is null
    union all
    select ${columns('p', -1)} from ${resolved} r join ${stage} p on p.${n} = r.prev_n
    where r.verdict = 'corrected' and r.prev_n is not null)`;
  return appendRollup(stream, rollup, touched, '', 'false');
}

/**
 * Partial sums of what a part has appended to the ledger. Parameters: $1 the first and $2 the last seq of the part, $3
 * the part. They must be parameters, so that the scan has bounds and reads the last entries only: as the side of a join
 * they would not be bounds, and a batch of 1,000 would take 230 ms with 20 million entries held.
 */
export function appendRollupOfEntries(stream: Stream, rollup: Rollup): string {
  const range = 'where e._seq between $1::bigint and $2::bigint and e._part = $3::bigint';
  return appendRollup(stream, rollup, entriesOf(stream), range, 'false');
}

export function appendRollup(
  stream: Stream,
  rollup: Rollup,
  from: string,
  where: string,
  dropped: string,
): string {
  return `${intoRollup(stream, rollup)} ${rollupSums(stream, rollup, from, where, dropped)}`;
}

/**
 * The rows of a rollup, recounted from entries.
 * @param signed false where all rows count as they are: half the work
 */
export function rollupSums(
  stream: Stream,
  rollup: Rollup,
  from: string,
  where: string,
  dropped: string,
  signed = true,
): string {
  const bucket = bucketType(rollup)
    ? [bucketExpression(`e.${quote(stream.time!.name)}`, rollup.every, rollup.tz)]
    : [];
  const idOrField = (field: Field) => (field === stream.id ? `e._id` : `e.${quote(field.name)}`);
  const keys = [...bucket, ...rollup.by.map(idOrField)];
  const sums = rollup.sum.flatMap((field, i) =>
    sumParts(field, idOrField(field), signed).map((part, j) => `${part} as _s${i}_${j}`),
  );
  const kept = rollup.sum.flatMap((field, i) => keptParts(field, `_s${i}_0`, `_s${i}_1`));
  const names = keys.map((_, i) => `_k${i}`);
  return `select ${[...names, ...kept, '_n', dropped].join(', ')}
    from (
      select ${[...keys.map((key, i) => `${key} as _k${i}`), ...sums, `${signed ? 'sum(e._sign)' : 'count(*)'}::bigint as _n`].join(', ')}
      from ${from} e ${where} ${keys.length > 0 ? 'group by all' : ''})
    where _n is not null`;
}

/** Whether the buckets of a rollup are shorter than a day: it may have nearly as many rows as the ledger. */
export const isFine = ({ every }: Rollup): boolean => every === 'hour' || every === 'minute';

/** The day in which a short bucket begins. */
export const bucketDay = 'cast(_bucket as date)';

/** A rollup's rows put together, a row for each key, with all columns: what compaction writes. */
export function mergedRollup(stream: Stream, rollup: Rollup, where = ''): string {
  const bucket = bucketType(rollup) ? ['_bucket'] : [];
  const keys = [...bucket, ...rollup.by.map((field) => quote(field.name))];
  const sums = rollup.sum.flatMap((field, i) => {
    const [kept, over] = [sumColumn(field), overflowColumn(field)];
    return isNarrow(field)
      ? [`coalesce(sum(${kept}), 0) + coalesce(sum(${over}), 0) as _s${i}_0`]
      : [`coalesce(sum(${kept}), 0) as _s${i}_0`, `sum(${over}) as _s${i}_1`];
  });
  const kept = rollup.sum.flatMap((field, i) => keptParts(field, `_s${i}_0`, `_s${i}_1`));
  // Ordered by key, so that the zone maps let a question about one key skip nearly everything; short buckets by day
  // first, so that a question about a few hours of all keys does.
  const days = isFine(rollup) ? [bucketDay] : [];
  const order = [...days, ...rollup.by.map((field) => quote(field.name)), ...bucket];
  // What was dropped is a row of its own beside that of the same key.
  return `select ${[...keys, ...kept, '_n', '_dropped', 'not _dropped'].join(', ')} from (
      select ${[...keys, '_dropped', ...sums, 'sum(_count)::bigint as _n'].join(', ')}
      from ${rollupOf(stream, rollup)} ${where} group by ${[...keys, '_dropped'].join(', ')})
    where _n <> 0 or ${rollup.sum.map((_, i) => `_s${i}_0 <> 0`).join(' or ') || 'false'}
    ${order.length > 0 ? `order by ${order.join(', ')}` : ''}`;
}

/** Keys of which the kept sums differ from a recount of the ledger: none, unless we have a defect. */
export function rollupDifferences(stream: Stream, rollup: Rollup): string {
  const keys = [...(bucketType(rollup) ? ['_bucket'] : []), ...rollup.by.map((field) => quote(field.name))];
  const names = rollup.sum.flatMap((field) => [sumColumn(field), overflowColumn(field)]);
  const columns = [...keys, ...names, '_count', '_dropped'];
  const total = (field: Field, i: number) => {
    const [kept, over] = [sumColumn(field), overflowColumn(field)];
    const amount = isNarrow(field)
      ? `coalesce(${kept}, 0) + coalesce(${over}, 0)`
      : `${inUnits(kept)} + coalesce(${over}, cast(0 as bignum))`;
    return `sum(case when _side = 1 then ${amount} else -(${amount}) end) as _d${i}`;
  };
  const nothing = (field: Field) => (isNarrow(field) ? '0' : 'cast(0 as bignum)');
  const differs = [...rollup.sum.map((field, i) => `_d${i} <> ${nothing(field)}`), '_records <> 0'].join(
    ' or ',
  );
  return `select count(*)::double from (
    select ${[...keys, ...rollup.sum.map(total), 'sum(_side * _count) as _records'].join(', ')} from (
      select ${columns.join(', ')}, 1 as _side from ${rollupOf(stream, rollup)} where not _dropped
      union all
      select *, -1 as _side from (${rollupSums(stream, rollup, entriesOf(stream), '', 'false')}) recount(${columns.join(', ')}))
    ${keys.length > 0 ? `group by ${keys.join(', ')}` : ''} having ${differs})`;
}

export function keptParts(field: Field, sum: string, huge: string): string[] {
  if (isNarrow(field)) {
    const scale = scaleOf(field);
    const fits =
      field.type === 'integer'
        ? `${sum} between -9000000000000000000 and 9000000000000000000`
        : `abs(${sum}) < cast('1e${18 - scale}' as decimal(38, ${scale}))`;
    const type = field.type === 'integer' ? 'bigint' : `decimal(18, ${scale})`;
    return [`case when ${fits} then ${sum} else 0 end::${type}`, `case when not (${fits}) then ${sum} end`];
  }
  const fits = `abs(${sum}) < ${wideLimit(field)}`;
  return [
    `case when ${fits} then ${sum} else 0 end`,
    `case when ${huge} is null and ${fits} then null else coalesce(${huge}, cast(0 as bignum)) + case when ${fits} then cast(0 as bignum) else ${inUnits(sum)} end end`,
  ];
}
