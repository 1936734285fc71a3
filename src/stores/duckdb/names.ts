/**
 * Names of tables and columns. Identifiers reach SQL only quoted, values only as parameters, as plain numbers (conditions.ts)
 * or by `literal`.
 */
import type { Field } from '../../engine/field-types.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';

export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** Text that comes from a declaration (a pattern, a default, a name), as a literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export const schemaOf = (stream: Stream): string => quote(`stream_${stream.name}`);
export const entriesOf = (stream: Stream): string => `${schemaOf(stream)}.entries`;
export const duplicatesOf = (stream: Stream): string => `${schemaOf(stream)}.duplicates`;
export const rollupOf = (stream: Stream, rollup: Rollup): string =>
  `${schemaOf(stream)}.${quote(`rollup_${rollup.name}`)}`;

/** The fields that have a column of their own: all but the id, which is `_id`. Of a form: those of its stream. */
export function storedFields(stream: Stream): Field[] {
  const { fields, id } = stream.of ?? stream;
  return fields.filter((field) => field !== id);
}

export function columnList(fields: readonly Field[], prefix = ''): string {
  return fields.map((field) => `${prefix}${quote(field.name)}`).join(', ');
}

/** Of a table of entries: `_id` and what is kept beside every record, then its fields. */
export function entryColumns(stream: Stream): string {
  const fixed = ['_seq', '_part', '_sign', '_reverses', '_hash', '_id'];
  return [...fixed, ...storedFields(stream).map(({ name }) => quote(name))].join(', ');
}

/** The value of a field in a row of entries, `e`. */
export function fieldValue(stream: Stream, field: Field, row = 'e'): string {
  if (field !== stream.id) return `${row}.${quote(field.name)}`;
  return field.type === 'text' ? `${row}._id` : `cast(${row}._id as ${sqlType(field)})`;
}

export function sqlType(field: Field): string {
  switch (field.type) {
    case 'text':
    case 'json':
      return 'varchar';
    case 'integer':
      return 'bigint';
    case 'decimal':
      return `decimal(${field.precision}, ${field.scale})`;
    default:
      return field.type;
  }
}
