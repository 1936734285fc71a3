/** Which records stand: entries of sign +1 that no later entry takes back, as far as a limit of parts allows. */
import type { Stream } from '../../engine/stream.ts';
import type { SeqRange } from './id-filter.ts';
import { entriesOf } from './names.ts';

/** The same as conditions on a row `e` of entries in a range of seqs: the bounds skip all other reversals. */
export function standingConditions(
  stream: Stream,
  known: string,
  hasReversals: boolean,
  { from, to }: SeqRange,
): string[] {
  const limit = known === '' ? [] : [known];
  if (!hasReversals) return ['e._sign = 1', ...limit];
  const taken = ['_sign = -1', `_reverses between ${from} and ${to}`, ...limit].join(' and ');
  return [
    'e._sign = 1',
    ...limit,
    `e._seq not in (select _reverses from ${entriesOf(stream)} where ${taken})`,
  ];
}

/** `known` limits the parts that count, as a condition on the column _part, or is empty. */
export function standingEntries(stream: Stream, known: string): string {
  const limit = known === '' ? '' : `and ${known}`;
  return `(select * from ${entriesOf(stream)} where _sign = 1 ${limit}
    and _seq not in (select _reverses from ${entriesOf(stream)} where _sign = -1 ${limit}))`;
}
