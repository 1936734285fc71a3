/** Which records stand: entries of sign +1 that no later entry takes back, among those that are seen. */
import type { Stream } from '../../engine/stream.ts';
import type { LedgerState } from './ledger-state.ts';
import { entriesOf, fieldValue } from './names.ts';

/**
 * What is seen of a stream's entries `e`: parts that count, and no records that retention has dropped. They are gone
 * from the moment of that commit, whenever the disk is rid of them.
 */
export function seen(
  stream: Stream,
  state: LedgerState,
  known: string,
  underWay?: readonly bigint[],
): string[] {
  const { droppedBefore } = state.books(stream.name);
  const kept =
    droppedBefore === undefined || !stream.time ? [] : [`${instantOf(stream)} >= ${droppedBefore}`];
  return [state.visible(underWay), ...(known === '' ? [] : [known]), ...kept];
}

/** The record's own time in microseconds. */
export function instantOf(stream: Stream): string {
  const value = fieldValue(stream, stream.time!);
  return stream.time!.type === 'date' ? `(toInt64(${value}) * 86400000000)` : value;
}

export function standingConditions(stream: Stream, conditions: string[]): string[] {
  return [
    ...conditions,
    '_e._sign = 1',
    `_e._seq not in (select assumeNotNull(_e._reverses) from ${entriesOf(stream)} _e where ${[...conditions, '_e._sign = -1'].join(' and ')})`,
  ];
}
