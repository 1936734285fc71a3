/** Which records stand: entries of sign +1 that no later entry takes back, as far as a limit of parts allows. */
import type { Stream } from '../../engine/stream.ts';
import type { SeqRange } from './id-filter.ts';
import { entriesOf } from './names.ts';

/**
 * `known` limits the parts that count, as a condition on the column _part, or is empty. With a range, only what stands
 * there: the bounds keep both scans from reading the rest.
 */
export function standingEntries(stream: Stream, known: string, range?: SeqRange): string {
  const limit = known === '' ? '' : `and ${known}`;
  const within = (column: string) => (range ? `and ${column} between ${range.from} and ${range.to}` : '');
  return `(select * from ${entriesOf(stream)} where _sign = 1 ${limit} ${within('_seq')}
    and _seq not in (select _reverses from ${entriesOf(stream)} where _sign = -1 ${limit} ${within('_reverses')}))`;
}
