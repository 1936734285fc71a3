/** Lists that come into a statement as one value: a JSON array, of texts or of whole numbers. */

/** Its values, a row for each. */
export function rowsOfList(list: string, type: string): string {
  return `unnest(from_json(${list}::varchar, '["${type.toUpperCase()}"]'))`;
}

/** The writer of JavaScript knows no bigints. */
export function listOfNumbers<T>(rows: readonly T[], numberOf: (row: T) => bigint | number | null): string {
  return `[${rows.map((row) => numberOf(row) ?? 'null').join(',')}]`;
}
