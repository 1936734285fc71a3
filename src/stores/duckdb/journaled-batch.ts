/** Batches that were acknowledged and are not in the database yet (see intake.ts), and what becomes of their records. */
import type { Micros } from '../../engine/calendar.ts';
import type { Values } from '../../engine/stage-record.ts';
import type { TextDelivery } from '../../engine/store.ts';
import type { VerdictName } from '../../engine/verdicts.ts';

export interface JournaledBatch {
  batch: number;
  recordedAt: Micros;
  deliveries: JournaledDelivery[];
}

export interface JournaledDelivery extends TextDelivery {
  /** Its records; undefined where what becomes of them must be found out in the database. */
  settled: readonly SettledRecord[] | undefined;
}

/** What stands under an id. */
export interface Stood {
  /** Undefined: the record was taken back. */
  values: Values | undefined;
  /** Of its entry in the ledger; undefined until it is there. */
  seq: bigint | undefined;
}

/** A record that is not refused. */
export interface SettledRecord {
  id: string;
  hash: bigint;
  verdict: VerdictName;
  /** What stood before it, if anything did. */
  stood: Stood | undefined;
  /** What stands after it: the same thing where it says nothing new. */
  stands: Stood;
}
