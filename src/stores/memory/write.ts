/**
 * How lines get into the ledger: a record is written with sign +1, and taken back by a copy of its line with
 * sign -1. Nothing is ever overwritten.
 */
import type { Values } from '../../engine/stage-record.ts';
import type { Delivery } from '../../engine/store.ts';
import type { VerdictName } from '../../engine/verdicts.ts';
import type { Batch, Ledger, Line, StreamLedger } from './ledger.ts';

/** What one delivery is published with. */
export interface Publishing {
  ledger: Ledger;
  kept: StreamLedger;
  batch: Batch;
  delivery: Delivery;
  import: number | null;
}

/** Writes a line of sign +1. */
export function append(
  into: Publishing,
  kept: StreamLedger,
  id: string,
  values: Values,
  verdict: VerdictName,
): Line {
  const { batch, recordedAt } = into.batch;
  const { source, reason } = into.delivery;
  const line: Line = {
    seq: ++into.ledger.lastSeq,
    batch,
    recordedAt,
    sign: 1,
    reverses: null,
    source,
    import: into.import,
    reason: reason ?? null,
    id,
    values,
    verdict,
  };
  kept.lines.push(line);
  return line;
}

/** Writes a line of sign -1: the same record, taken back. */
export function takeBack(
  into: Publishing,
  kept: StreamLedger,
  line: Line,
  verdict: VerdictName,
  reason: string | undefined,
): void {
  const copy = append(into, kept, line.id, line.values, verdict);
  Object.assign(copy, { sign: -1, reverses: line.seq, reason: reason ?? null });
}
