/** Names of tables and columns, and how values are written in them. Identifiers reach SQL only quoted. */
import { formatDate, formatTimestamp, parseDate, parseTimestamp } from '../../engine/calendar.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';

export function quote(identifier: string): string {
  return `\`${identifier.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

/** Text as a literal, for what is no value of a record: names of streams, tokens. */
export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

export const commitsTable = 'commits';
export const entriesTable = (stream: Stream): string => `${stream.name}.entries`;
export const duplicatesTable = (stream: Stream): string => `${stream.name}.duplicates`;
export const rollupTable = (stream: Stream, rollup: Rollup): string => `${stream.name}.rollup.${rollup.name}`;
export const entriesOf = (stream: Stream): string => quote(entriesTable(stream));
export const duplicatesOf = (stream: Stream): string => quote(duplicatesTable(stream));
export const rollupOf = (stream: Stream, rollup: Rollup): string => quote(rollupTable(stream, rollup));

/** The fields that have a column of their own: an id that is kept as text is `_id`. */
export function storedFields(stream: Stream): Field[] {
  return stream.fields.filter((field) => field !== stream.id || sqlType(field) !== 'String');
}

/** The value of a field in a row of entries, `e`. */
export function fieldValue(stream: Stream, field: Field): string {
  return field === stream.id && sqlType(field) === 'String' ? '_e._id' : `_e.${quote(field.name)}`;
}

/**
 * Times and dates are whole numbers, microseconds and days since 1970: ClickHouse's own types hold the years 1900 to
 * 2299, and records the years 1 to 9999. A uuid is text, because ClickHouse orders its uuids by their second half.
 */
export function sqlType(field: Field): string {
  switch (field.type) {
    case 'text':
    case 'json':
    case 'uuid':
      return 'String';
    case 'integer':
    case 'timestamp':
      return 'Int64';
    case 'date':
      return 'Int32';
    case 'boolean':
      return 'Bool';
    case 'decimal':
      return `Decimal(${field.precision}, ${field.scale})`;
  }
}

export const columnType = (field: Field): string => `Nullable(${sqlType(field)})`;

/** A cell of a row that is inserted, or of one that was read. */
export type Cell = string | number | boolean | null;

/** From a canonical text to a cell. */
export function cellOf(field: Field, text: string | null): Cell {
  if (text === null) return null;
  if (field.type === 'timestamp') return String(parseTimestamp(text));
  if (field.type === 'date') return parseDate(text)!;
  return field.type === 'boolean' ? text === 'true' : text;
}

/** From a cell to a canonical text. */
export function textOf({ type }: Field, cell: Cell): string | null {
  if (cell === null) return null;
  if (type === 'timestamp') return formatTimestamp(BigInt(String(cell)));
  return type === 'date' ? formatDate(Number(cell)) : String(cell);
}

/** Digits after the point. */
export const scaleOf = (field: Field): number => (field.type === 'decimal' ? field.scale : 0);

/** Whether a field's values have at most 18 digits, so that sums of them fit 128 bits. */
export function isNarrow(field: Field): boolean {
  return field.type !== 'decimal' || field.precision <= 18;
}

/** The value of a numeric field in units of its last digit: a whole number that sums cannot overflow. */
export function unitsOf(field: Field, value: string): string {
  if (field.type !== 'decimal') return `toInt128(${value})`;
  const { precision } = field;
  const bits = precision <= 9 ? 32 : precision <= 18 ? 64 : 128;
  return `${isNarrow(field) ? 'toInt128' : 'toInt256'}(reinterpret(${value}, 'Int${bits}'))`;
}
