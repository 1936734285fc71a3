/** The sums that a rollup keeps: written from entries, and held against them. */
import { type Every, firstInstant, lastInstant, type Micros } from '../../engine/calendar.ts';
import type { CopiedSums } from '../../engine/copied-ledger.ts';
import { fromScaled } from '../../engine/decimal.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { bucketExpression } from './buckets.ts';
import type { Connection } from './connection.ts';
import type { KnownRollup, LedgerState } from './ledger-state.ts';
import {
  type Cell,
  cellOf,
  entriesOf,
  fieldValue,
  quote,
  rollupOf,
  rollupTable,
  scaleOf,
  unitsOf,
} from './names.ts';
import { inUnits, keptSum, keptUnits, sumColumnName } from './schema.ts';
import { instantOf } from './standing.ts';

export interface Bounds {
  from: Micros;
  to: Micros;
}

/** Statements that fill rollups touch all entries that they are given; bounds say between which times those lie. */
export function partialSums(
  stream: Stream,
  rollup: Rollup,
  bounds: Bounds,
  {
    conditions,
    part,
    dropped = 0,
    negative = false,
  }: {
    conditions: string[];
    /** Of the rows: a number, or the part of each entry. */
    part: string;
    dropped?: 0 | 1;
    negative?: boolean;
  },
): string {
  const bucket =
    rollup.every === 'all' || !stream.time
      ? 'toInt64(0)'
      : `toInt64(${bucketExpression(instantOf(stream), rollup.every, rollup.tz, bounds)})`;
  const sign = negative ? '-_e._sign' : '_e._sign';
  const sums = rollup.sum.map((field, i) => {
    const units = `coalesce(sum(${sign} * ${unitsOf(field, fieldValue(stream, field))}), 0)`;
    return `${keptSum(field, `assumeNotNull(${units})`)} as s${i}`;
  });
  const by = rollup.by.map((field, i) => `${fieldValue(stream, field)} as d${i}`);
  const keys = ['b', ...by.map((_, i) => `d${i}`), 'p'];
  return `select ${[`${bucket} as b`, ...by, `toUInt64(${part}) as p`, dropped, ...sums, `sum(${sign}) as c`].join(', ')}
    from ${entriesOf(stream)} _e where ${conditions.join(' and ')} group by ${keys.join(', ')}`;
}

export const columnsOf = (rollup: Rollup): string[] => [
  '_bucket',
  ...rollup.by.map(({ name }) => name),
  '_part',
  '_dropped',
  ...rollup.sum.map(sumColumnName),
  '_count',
];

/** A row of sums of dropped records, in the order of `columnsOf`. */
export function sumCells(rollup: Rollup, { bucket, by, sums, count }: CopiedSums, part: bigint): Cell[] {
  return [
    bucket,
    ...rollup.by.map((field, i) => cellOf(field, by[i]!)),
    String(part),
    1,
    ...rollup.sum.map((field, i) => fromScaled(sums[i]!, scaleOf(field))),
    String(count),
  ];
}

/** Adds the partial sums of some entries to a rollup. */
export async function addSums(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  bounds: Bounds,
  of: Parameters<typeof partialSums>[3],
  token: string,
): Promise<void> {
  await connection.insertSelect(
    rollupTable(stream, rollup),
    columnsOf(rollup).map(quote).join(', '),
    partialSums(stream, rollup, bounds, of),
    token,
  );
}

/** The rollups that writers must keep: those that the ledger knows, whatever this process has declared. */
export function keptRollups(stream: Stream, state: LedgerState): Rollup[] {
  return [...state.books(stream.name).rollups.values()].map((known) => ({
    name: known.name,
    every: known.every as Every,
    tz: known.tz,
    by: fieldsOf(stream, known.by),
    sum: fieldsOf(stream, known.sum),
  }));
}

/** A field that another process has added, and this one does not know, has no value in what this one writes. */
function fieldsOf(stream: Stream, names: string[]): Field[] {
  return names.map((name) => stream.field(name)).filter((field) => field !== undefined);
}

export function declarationOf(rollup: Rollup, completeFrom: Micros | undefined): KnownRollup {
  const { name, every, tz, by, sum } = rollup;
  return {
    name,
    every,
    tz,
    by: by.map((field) => field.name),
    sum: sum.map((field) => field.name),
    ...(completeFrom === undefined ? {} : { completeFrom: String(completeFrom) }),
  };
}

/** Between which times the entries lie that fit some conditions. */
export async function boundsOf(
  connection: Connection,
  stream: Stream,
  conditions: string[],
): Promise<Bounds> {
  if (!stream.time) return { from: 0n, to: 0n };
  const instant = instantOf(stream);
  const [row] = await connection.rows(
    `select min(${instant}), max(${instant}) from ${entriesOf(stream)} _e where ${conditions.join(' and ')}`,
  );
  const [from, to] = row!;
  if (from === null || to === null) return { from: 0n, to: 0n };
  const clamp = (micros: bigint) =>
    micros < firstInstant ? firstInstant : micros > lastInstant ? lastInstant : micros;
  return { from: clamp(BigInt(String(from))), to: clamp(BigInt(String(to))) };
}

/** How many keys of a rollup differ from the sums of the ledger. */
export async function differences(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  state: LedgerState,
  conditions: string[],
): Promise<number> {
  const bounds = await boundsOf(connection, stream, conditions);
  const keys = ['b', ...rollup.by.map((_, i) => `d${i}`)].join(', ');
  const units = rollup.sum.map((field, i) => `toInt256(${keptUnits(field)}) as u${i}`);
  const kept = `select ${['_e._bucket as b', ...rollup.by.map(({ name }, i) => `_e.${quote(name)} as d${i}`), ...units, '_e._count as c'].join(', ')}
    from ${rollupOf(stream, rollup)} _e where ${state.visible()} and _dropped = 0`;
  const counted = `select ${[keys, ...rollup.sum.map((field, i) => `-toInt256(${inUnits(field, `s${i}`)})`), '-c'].join(', ')}
    from (${partialSums(stream, rollup, bounds, { conditions, part: '0' })})`;
  const [row] = await connection.rows(`select count() from (
      select ${keys} from (${kept} union all ${counted}) group by ${keys}
      having ${[...rollup.sum.map((_, i) => `sum(u${i}) != 0`), 'sum(c) != 0'].join(' or ')})`);
  return Number(row![0]);
}
