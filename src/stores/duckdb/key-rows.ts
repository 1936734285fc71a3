/** The rows of some keys, of a rollup or of the ledger, as they are: what sums of keys are made of. */
import type { Condition } from '../../engine/question.ts';
import type { Grouping } from './grouping.ts';

/** The rows of a source, each with its key and what it adds, behind further columns. */
export function rowByRow(
  { dimensions, conditions, from, ofRow }: Grouping,
  columns: readonly string[] = [],
): string {
  const selected = [...columns, `${dimensions[0]}::bigint as d0`, `(${ofRow![0]})::bigint as m0`];
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  return `select ${selected.join(', ')} from ${from} ${where}`;
}

/**
 * Whether keys lie so close together that the rows between the least and the largest are found where the column lies, and
 * those of other keys dropped afterwards. To look each row up in a list took 1.2 of 5.4 ms of a count among 100 million
 * passages.
 */
export function areClose(keys: readonly bigint[]): boolean {
  const [least, most] = boundsOf(keys);
  return keys.length > 0 && most - least < 2n * BigInt(keys.length);
}

function boundsOf(keys: readonly bigint[]): [bigint, bigint] {
  let [least, most] = [keys[0]!, keys[0]!];
  for (const key of keys) {
    if (key < least) least = key;
    if (key > most) most = key;
  }
  return [least, most];
}

export function between({ dimension }: Condition, keys: readonly bigint[]): Condition[] {
  const [least, most] = boundsOf(keys);
  return [
    { dimension, operator: 'gte', values: [String(least)] },
    { dimension, operator: 'lte', values: [String(most)] },
  ];
}
