/** The rollup counted from the raw tables: what a view shows, what a backfill writes, what `verify` compares with. */
import { TallybookError } from '../engine/errors.ts';
import { columnNames, type KeptRollup, keyColumns, type RawTable } from './kept-rollup.ts';
import { literal, qualified, quote } from './names.ts';

/** Rows with the columns of the rollup: what each raw row of `from` counts for. */
export function amounts(kept: KeptRollup, table: RawTable, from: string, sign: 1 | -1 = 1): string {
  const names = columnNames(kept);
  const signed = sign === 1 ? table.sums : table.sums.map((sum) => `-(${sum})`);
  const values = [...table.keys, String(sign), ...signed].map(
    (value, index) => `${value} as ${names[index]}`,
  );
  return `select ${values.join(',\n  ')}\nfrom ${from} as raw`;
}

/** The number of keys by position: `1, 2, 3`. */
export function keyNumbers(kept: KeptRollup): string {
  return keyColumns(kept)
    .map((_, index) => index + 1)
    .join(', ');
}

/** Keys, then what the rows of each count for in all. */
export function sums(kept: KeptRollup): string[] {
  const keys = keyColumns(kept).map(({ name }) => quote(name));
  return columnNames(kept).map((name, index) => {
    if (index < keys.length) return name;
    return index === keys.length ? `sum(${name})::bigint as ${name}` : `sum(${name})::numeric as ${name}`;
  });
}

/**
 * A condition on the bucket of the rollup: only those that begin then or later.
 *
 * @param from a date (at midnight in UTC where buckets are hours or minutes), or a timestamp with its zone
 */
export function since(kept: KeptRollup, from: string): string {
  const bucket = keyColumns(kept).at(-1);
  if (kept.rollup.every === 'all' || !bucket)
    throw new TallybookError(
      'bad_settings',
      `the rollup ${kept.rollup.name} has no buckets; leave --from out`,
    );
  const text = bucket.type === 'date' || from.includes('T') ? from : `${from}T00:00:00Z`;
  return `${quote(bucket.name)} >= ${literal(text)}::${bucket.type}`;
}

/** @param where of the columns of the rollup, such as `"day" >= '2026-10-01'` */
export function recount(kept: KeptRollup, where?: string): string {
  const parts = kept.tables.map((table) => indented(amounts(kept, table, qualified(table))));
  const keys = keyNumbers(kept);
  return `select ${sums(kept).join(', ')}
from (
${parts.join('\n  union all\n')}
) as records${where === undefined ? '' : `\nwhere ${where}`}
${keys === '' ? 'having count(*) > 0' : `group by ${keys}`}`;
}

export function indented(text: string, by = '  '): string {
  return text.replaceAll(/^(?=.)/gm, by);
}
