/** What a question groups and measures, as parts of a statement. */

export interface Grouping {
  from: string;
  conditions: string[];
  bucket: string | undefined;
  dimensions: string[];
  measures: string[];
  /** Number of standing records in a group. */
  records: string;
  /** The measures of one row by itself; undefined for what it cannot tell. */
  ofRow?: (string | undefined)[];
}

/**
 * A grouping as the two halves of a statement, between which further columns can stand: the bucket b, the dimensions
 * d0 …, the measures m0 …; and from where.
 */
export function grouped({ bucket, dimensions, measures, conditions, from }: Grouping, having: string[] = []) {
  const keys = [
    ...(bucket ? [`${bucket} as b`] : []),
    ...dimensions.map((dimension, i) => `${dimension} as d${i}`),
  ];
  const columns = [...keys, ...measures.map((measure, i) => `${measure} as m${i}`)];
  return [
    `select ${columns.join(', ')}`,
    `from ${from}
      ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
      ${keys.length > 0 ? `group by ${keys.map((_, i) => i + 1).join(', ')}` : ''}
      ${having.length > 0 ? `having ${having.join(' and ')}` : ''}`,
  ] as const;
}
