/**
 * Rejects are records of a stream of Tallybook's own, `_rejects`, written in the same commit as the records
 * beside them: every byte received ends as an entry, a duplicate or a reject.
 */

import { rejectsStream } from '../../engine/built-in-streams.ts';
import type { Row } from '../../engine/rows.ts';
import { rejectValues } from '../../engine/settling.ts';
import type { Refusal } from '../../engine/stage-record.ts';
import { standingLines, streamLedger } from './ledger.ts';
import { append, type Publishing, takeBack } from './write.ts';

export function keepReject(
  into: Publishing,
  row: Row,
  index: number,
  recordId: string | null,
  refusal: Refusal,
): void {
  const { ledger, delivery, batch } = into;
  const id = `r${ledger.lastSeq + 1}`;
  const at = batch.recordedAt;
  const values = rejectValues({ id, at, delivery, import: into.import, row, index, recordId, refusal });
  append(into, streamLedger(ledger, rejectsStream), id, values, 'accepted');
}

/** A reject whose record has now been taken in, or stands already, leaves the list. */
export function takeBackReplayed(into: Publishing, rejectId: string): void {
  const kept = streamLedger(into.ledger, rejectsStream);
  const reject = standingLines(kept.lines, undefined).find((line) => line.id === rejectId);
  if (reject) takeBack(into, kept, reject, 'retracted', 'replayed');
}
