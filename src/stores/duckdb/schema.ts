/**
 * The tables. `docs/schema.sql` shows them for an example stream; a test keeps it true.
 *
 * No table has a primary key or an index: they cut inserts to a tenth and make checkpoints take seconds. Ids are
 * compared by hash first (see id-filter.ts).
 */
import type { Field } from '../../engine/field-types.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { duplicatesOf, entriesOf, quote, rollupOf, schemaOf, sqlType, storedFields } from './names.ts';

/** Raised with every change of the tables that older code must not touch. */
export const schemaVersion = 2;

export const bookTables = `
  create table if not exists book (key varchar, value varchar);
  -- what was published: one row for each part of a batch (what shares stream, form, mode, source, import and reason)
  create table if not exists parts (
    part bigint, batch bigint, recorded_at timestamp,
    stream varchar, mode varchar, source varchar, import bigint, reason varchar,
    accepted bigint, duplicates bigint, corrected bigint, conflicts bigint, rejected bigint, retracted bigint
  );`;

/**
 * How texts are compressed of which most occur once. Left to itself, DuckDB first tries a dictionary, which for such
 * texts is never smaller and takes more time than all else: 1 µs of the 2 that appending a line of a report took.
 */
export const varied = 'using compression fsst';

function columnOf(field: Field): string {
  const column = `${quote(field.name)} ${sqlType(field)}`;
  return field.type === 'text' && field.varied ? `${column} ${varied}` : column;
}

export function streamTables(stream: Stream): string {
  const fields = storedFields(stream).map((field) => `,\n    ${columnOf(field)}`);
  return `
  create schema if not exists ${schemaOf(stream)};
  -- the ledger: a record with _sign 1, or -1 when it is taken back
  create table if not exists ${entriesOf(stream)} (
    _seq bigint, _part bigint, _sign tinyint, _reverses bigint,
    _hash ubigint, _id varchar ${varied}${fields.join('')}
  );
  -- ids that were sent again with the same content: the entry that stood, and when
  create table if not exists ${duplicatesOf(stream)} (_seq bigint, _part bigint);`;
}

/** Whether a field's values have at most 18 digits, so that sums of them run on 64-bit integers. */
export function isNarrow(field: Field): boolean {
  return field.type === 'integer' || (field.type === 'decimal' && field.precision <= 18);
}

/**
 * A kept sum has two columns. The first holds it while it fits 64 bits (128 for wide decimals), which is nearly
 * always, and is what makes questions fast: 25 ms over 2.4 million rows, where 128-bit columns take 600. What
 * does not fit goes to the second, whole. Their sum is the sum: so nothing overflows, ever.
 */
export const sumColumn = (field: Field): string => quote(`_sum_${field.name}`);
export const overflowColumn = (field: Field): string => quote(`_over_${field.name}`);

/** Digits after the point. */
export const scaleOf = (field: Field): number => (field.type === 'decimal' ? field.scale : 0);

function sumColumns(field: Field): string {
  const scale = scaleOf(field);
  if (field.type === 'integer') return `${sumColumn(field)} bigint, ${overflowColumn(field)} hugeint`;
  if (isNarrow(field))
    return `${sumColumn(field)} decimal(18, ${scale}), ${overflowColumn(field)} decimal(38, ${scale})`;
  // Beyond 38 digits only whole numbers of any length help: the sum in units of the last decimal.
  return `${sumColumn(field)} decimal(38, ${scale}), ${overflowColumn(field)} bignum`;
}

/** The beginning of a statement that adds partial sums to a rollup. */
export function intoRollup(stream: Stream, rollup: Rollup): string {
  const columns = [
    ...(bucketType(rollup) ? ['_bucket'] : []),
    ...rollup.by.map(({ name }) => quote(name)),
    ...rollup.sum.flatMap((field) => [sumColumn(field), overflowColumn(field)]),
    '_count',
    '_dropped',
  ];
  return `insert into ${rollupOf(stream, rollup)} (${columns.join(', ')})`;
}

/** The type of a rollup's bucket: the local date on which it starts, or for hours and minutes the instant. */
export function bucketType(rollup: Rollup): 'date' | 'timestamp' | undefined {
  if (rollup.every === 'all') return undefined;
  return rollup.every === 'hour' || rollup.every === 'minute' ? 'timestamp' : 'date';
}

/** Since version 2. Rows without it are none that were merged. */
export const mergedColumn = '_merged boolean default false';

export function rollupTable(stream: Stream, rollup: Rollup): string {
  const bucket = bucketType(rollup);
  const columns = [
    ...(bucket ? [`_bucket ${bucket}`] : []),
    ...rollup.by.map(columnOf),
    ...rollup.sum.map(sumColumns),
    '_count bigint',
    // true: the share of records that retention has dropped; the ledger no longer proves it
    '_dropped boolean',
    // true: a compaction has put all into it that there was of its key: no other such row has that key
    mergedColumn,
  ];
  return `create table ${rollupOf(stream, rollup)} (\n    ${columns.join(',\n    ')}\n  )`;
}
