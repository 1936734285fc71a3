/**
 * A rollup of a stream, kept inside of a PostgreSQL: the relation it is read from, and the raw tables it is the sum of.
 *
 *     subscription_id | type | day        | count | sum_price | sum_used
 *     8047            | data | 2026-10-05 |     2 |     10.00 |   121850
 *
 * The keys are the fields of the rollup and the bucket, by which it is also asked: a column that is null is a key like
 * any other. A sum of field `price` is `sum_price`; a value that is missing, or no number (NaN), adds nothing.
 */
import { TallybookError } from '../engine/errors.ts';
import type { Field } from '../engine/field-types.ts';
import type { Rollup, Stream } from '../engine/stream.ts';
import { quote, type Relation } from './names.ts';

export const strategies = ['triggers', 'view', 'materialized'] as const;
export type Strategy = (typeof strategies)[number];

export interface KeptRollup {
  stream: Stream;
  rollup: Rollup;
  strategy: Strategy;
  relation: Relation;
  tables: readonly RawTable[];
}

/** A raw table, with its columns as SQL over a row `raw`, in the order of the columns of the rollup. */
export interface RawTable extends Relation {
  /** Stands in the names of what is made for it: the form, or a number; empty where there is one table. */
  label: string;
  keys: readonly string[];
  sums: readonly string[];
  partitioned: boolean;
  /** The table and its partitions. */
  watched: readonly Relation[];
  /** How it was given: the column of each field, and the values of those that have none. */
  columns: Readonly<Record<string, string>>;
  fixed: Readonly<Record<string, string>>;
}

export interface KeyColumn {
  name: string;
  type: string;
}

/** The columns that name a row: the fields first, since questions nearly always name some of them. */
export function keyColumns({ rollup }: Pick<KeptRollup, 'rollup'>): KeyColumn[] {
  const { every, by } = rollup;
  const exact = every === 'hour' || every === 'minute';
  return [
    ...by.map((field) => ({ name: field.name, type: keyTypes[field.type]! })),
    ...(every === 'all' ? [] : [{ name: every as string, type: exact ? 'timestamptz' : 'date' }]),
  ];
}

/** Numbers as keys have no fixed number of digits: 1.0 and 1.00 are one key all the same, and nothing is rounded. */
const keyTypes: Partial<Record<Field['type'], string>> = {
  text: 'text',
  integer: 'bigint',
  decimal: 'numeric',
  boolean: 'boolean',
  timestamp: 'timestamptz',
  date: 'date',
  uuid: 'uuid',
};

export const sumColumn = (field: Pick<Field, 'name'>): string => `sum_${field.name}`;

/** Throws `bad_settings` for a rollup that has no columns of its own here. */
export function checkColumns(rollup: Rollup, strategy: Strategy): void {
  const keys = keyColumns({ rollup });
  const json = rollup.by.find(({ type }) => type === 'json');
  if (json)
    throw new TallybookError('bad_settings', `the rollup ${rollup.name} is by ${json.name}, which is json`);
  const names = [...keys.map(({ name }) => name), 'count', ...rollup.sum.map(sumColumn)];
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined)
    throw new TallybookError(
      'bad_settings',
      `two columns of the rollup ${rollup.name} would be called ${twice}`,
    );
  if (keys.length === 0 && strategy !== 'view')
    throw new TallybookError(
      'bad_settings',
      `the rollup ${rollup.name} is a single row, for which all who write would wait; choose --strategy view, or a rollup with "every" or "by"`,
    );
}

/** `"subscription_id", "type", "day"`. */
export function keyList(kept: Pick<KeptRollup, 'rollup'>): string {
  return keyColumns(kept)
    .map(({ name }) => quote(name))
    .join(', ');
}

/** The names of all columns, in order. */
export function columnNames(kept: Pick<KeptRollup, 'rollup'>): string[] {
  return [...keyColumns(kept).map(({ name }) => name), 'count', ...kept.rollup.sum.map(sumColumn)].map(quote);
}
