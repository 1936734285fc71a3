/**
 * Columns of a raw table as keys and sums: SQL over a row `raw`.
 *
 * Whatever session runs it, the same row gives the same key and the same amount: nothing here depends on the time zone,
 * the locale or another setting of the session. So what a row added when it came is what it takes back when it goes.
 */

import type { Every } from '../engine/calendar.ts';
import { TallybookError } from '../engine/errors.ts';
import { checkValue, type Field } from '../engine/field-types.ts';
import type { Column, Table } from './catalog.ts';
import { literal, quote, shown } from './names.ts';

const integers = ['smallint', 'integer', 'bigint'];

function refuse(table: Table, { name, type }: Column, field: Field, expected: string): never {
  throw new TallybookError(
    'bad_settings',
    `the column ${name} of ${shown(table)} is of type ${type}; for the ${field.type} field ${field.name} expected ${expected}`,
  );
}

/** The value by which a row is grouped. A null takes the default of the field, where it declares one. */
export function keyOf(table: Table, column: Column, field: Field): string {
  const value = bareKey(table, column, field);
  const checked = field.default === undefined ? undefined : checkValue(field, undefined);
  if (checked === undefined || !('value' in checked) || checked.value === null) return value;
  return `coalesce(${value}, ${literal(checked.value)})`;
}

function bareKey(table: Table, column: Column, field: Field): string {
  const { name, type, isText, isEnum, bytewise } = column;
  const value = `raw.${quote(name)}`;
  switch (field.type) {
    case 'text':
      // An index on the column serves a view only while nothing is done to the column.
      if ((type === 'text' || type === 'character varying') && bytewise) return value;
      if (isText) return `${value}::text collate "C"`;
      if (isEnum || type === 'uuid' || integers.includes(type)) return `${value}::text`;
      return refuse(table, column, field, 'a text, an enum, an integer or a uuid');
    case 'integer':
      return integers.includes(type) ? value : refuse(table, column, field, integers.join(', '));
    case 'decimal':
      return [...integers, 'numeric'].includes(type)
        ? value
        : refuse(table, column, field, `numeric, ${integers.join(', ')}`);
    case 'timestamp':
      return instantOf(table, column, field);
    default:
      return type === field.type ? value : refuse(table, column, field, field.type);
  }
}

/** What a row adds to a sum. */
export function amountOf(table: Table, column: Column, field: Field): string {
  const { name, type, bounded } = column;
  const value = `raw.${quote(name)}`;
  // One type wider: so that an amount can be taken back, and any number of them added up.
  if (type === 'bigint') return `coalesce(${value}, 0)::numeric`;
  if (integers.includes(type)) return `coalesce(${value}, 0)::bigint`;
  if (type !== 'numeric')
    return refuse(
      table,
      column,
      field,
      `numeric, ${integers.join(', ')}; sums of other types are not exact (a generated column can hold it as numeric)`,
    );
  return bounded
    ? `coalesce(nullif(${value}, 'NaN'), 0)`
    : `case when ${value} > '-Infinity' and ${value} < 'Infinity' then ${value} else 0 end`;
}

function instantOf(table: Table, column: Column, field: Field): string {
  const value = `raw.${quote(column.name)}`;
  switch (column.type) {
    case 'timestamp with time zone':
      return value;
    case 'timestamp without time zone':
      return `${value} at time zone 'UTC'`;
    case 'date':
      return `${value}::timestamp at time zone 'UTC'`;
    default:
      return refuse(
        table,
        column,
        field,
        'timestamptz, timestamp (taken as UTC) or date (its midnight in UTC)',
      );
  }
}

/** The bucket in which a row lies, in a time zone: the twin of `bucketStart` in engine/calendar.ts. */
export function bucketOf(table: Table, column: Column, field: Field, every: Every, zone: string): string {
  const instant = instantOf(table, column, field);
  if (every === 'hour' || every === 'minute') return `date_trunc('${every}', ${instant}, ${literal(zone)})`;
  const value = `raw.${quote(column.name)}`;
  const local =
    column.type === 'timestamp with time zone' || zone !== 'UTC'
      ? `(${instant} at time zone ${literal(zone)})`
      : column.type === 'date' && every !== 'day'
        ? `${value}::timestamp`
        : value;
  if (every === 'day') return column.type === 'date' && zone === 'UTC' ? value : `${local}::date`;
  return `date_trunc('${every}', ${local})::date`;
}

/** A value that every row of a table has, as its type. */
export function fixedKey(text: string, type: string): string {
  return `${literal(text)}::${type}`;
}
