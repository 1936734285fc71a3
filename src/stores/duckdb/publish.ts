/**
 * Publishing what came in memory: all deliveries of a call in one commit. Deliveries are concurrent requests, so
 * those that share stream, form, mode, source and reason are put together as one part, in the order of their arrival.
 * And publishing what came by way of the journal.
 */
import { formatTimestamp } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { groupsOf, refuseUnlessNew } from '../../engine/settling.ts';
import type { Delivery, TextDelivery } from '../../engine/store.ts';
import { noCounts, type Receipt } from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import type { FoldWriter } from './fold.ts';
import type { JournaledBatch, SettledRecord } from './journaled-batch.ts';
import type { BatchStamp, LedgerState } from './ledger-state.ts';
import type { PartWriter } from './part.ts';
import type { ReadGate } from './read-gate.ts';

/**
 * The caller holds the writer's lock, and has nothing in the journal but what it publishes.
 * @param journaled the number and time of a batch that was acknowledged before
 */
export async function publishTexts(
  connection: Connection,
  writer: PartWriter,
  state: LedgerState,
  given: readonly TextDelivery[],
  gate: ReadGate,
  journaled?: JournaledBatch,
): Promise<Receipt[]> {
  const deliveries = given.map((delivery) => state.upToDate(delivery));
  const stamp: BatchStamp = {
    batch: journaled?.batch ?? state.reserveBatch(),
    recordedAt: journaled?.recordedAt ?? state.nextInstant(),
    journaled: journaled !== undefined,
    parts: [],
    rejects: [],
  };
  const receipts = new Map<Delivery, Receipt>();
  for (const delivery of deliveries) {
    if (delivery.content.texts.length > 0) continue;
    receipts.set(delivery, {
      batch: stamp.batch,
      recorded_at: formatTimestamp(stamp.recordedAt),
      received: 0,
      ...noCounts(),
      verdicts: [],
    });
  }
  const parts = groupsOf(deliveries.filter((delivery) => !receipts.has(delivery)));
  if (parts.length > 0) {
    const checks = deliveries.flatMap(({ check }) => check ?? []);
    await writer.prepare(
      new Set([...deliveries.map(({ stream }) => stream), ...checks.map(({ notes }) => notes)]),
    );
    await connection.transaction(
      async () => {
        for (const part of parts) {
          const written = await writer.write(part, stamp);
          part.forEach((delivery, i) => {
            refuseUnlessNew(delivery, written[i]!);
            receipts.set(delivery, written[i]!);
          });
        }
      },
      through(gate, state, deliveries, [stamp]),
    );
    state.committed(stamp);
  }
  return deliveries.map((delivery) => receipts.get(delivery)!);
}

/**
 * Publishes batches of the journal, all in one commit; or one by one, as if they came now, where what becomes of some record
 * must be found out first, or they cannot be folded in. That would be a defect, which must not keep out what was
 * acknowledged: what is refused is among the rejects then, and the defect is returned. The caller holds the writer's lock.
 * @param batches those that are published one by one leave it, so that none is published again when a later one fails
 */
export async function publishJournaled(
  connection: Connection,
  folds: FoldWriter,
  writer: PartWriter,
  state: LedgerState,
  batches: JournaledBatch[],
  gate: ReadGate,
): Promise<Error | undefined> {
  const deliveries = batches.flatMap((batch) => batch.deliveries);
  let defect: Error | undefined;
  if (deliveries.every(({ settled }) => settled)) {
    const stamps = batches.map(
      ({ batch, recordedAt }): BatchStamp => ({ batch, recordedAt, journaled: true, parts: [], rejects: [] }),
    );
    try {
      await folds.prepare(new Set(deliveries.map(({ stream }) => stream)));
      await connection.transaction(
        () => folds.write(batches, stamps),
        through(gate, state, deliveries, stamps),
      );
      for (const stamp of stamps) state.committed(stamp);
      return undefined;
    } catch (error) {
      // The disk is full, or the database is of no use any more.
      if (error instanceof TallybookError) throw error;
      defect = error as Error;
      for (const { settled } of deliveries) forgetSeqs(settled!);
    }
  }
  for (let batch = batches[0]; batch; batch = batches[0]) {
    await publishTexts(connection, writer, state, batch.deliveries, gate, batch);
    batches.shift();
  }
  return defect;
}

/** Those of a fold that was not committed: batches that follow must not build on them. */
function forgetSeqs(records: readonly SettledRecord[]): void {
  for (const { verdict, stands } of records) if (verdict !== 'duplicate') stands.seq = undefined;
}

/** Commits through the gate. A correction appends two entries. */
function through(
  gate: ReadGate,
  state: LedgerState,
  deliveries: readonly TextDelivery[],
  stamps: readonly BatchStamp[],
) {
  const records = deliveries.reduce((sum, { content }) => sum + content.texts.length, 0);
  return (commit: () => Promise<void>) => gate.commit(() => state.commit(stamps, commit), 2 * records);
}
