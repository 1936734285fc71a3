/**
 * Publishing what came in memory: all deliveries of a call in one commit. Deliveries are concurrent requests, so
 * those that share stream, form, mode, source and reason are put together as one part, in the order of their arrival.
 * And publishing what came by way of the journal.
 */
import { formatTimestamp } from '../../engine/calendar.ts';
import { groupsOf, refuseUnlessNew } from '../../engine/settling.ts';
import type { Delivery, TextDelivery } from '../../engine/store.ts';
import { noCounts, type Receipt } from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import type { BatchStamp, JournaledBatch, LedgerState } from './ledger-state.ts';
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
 * Publishes batches of the journal, all in one commit. Returns false when some of their records were not accepted: a
 * defect, should it ever happen. Then they were published one by one, and what was not accepted is among the rejects or
 * a duplicate. The caller holds the writer's lock.
 */
export async function publishJournaled(
  connection: Connection,
  writer: PartWriter,
  state: LedgerState,
  batches: readonly JournaledBatch[],
  gate: ReadGate,
): Promise<boolean> {
  const deliveries = batches.flatMap((batch) => batch.deliveries);
  const stamps = batches.map(
    ({ batch, recordedAt }): BatchStamp => ({ batch, recordedAt, journaled: true, parts: [], rejects: [] }),
  );
  await writer.prepare(new Set(deliveries.map(({ stream }) => stream)));
  try {
    await connection.transaction(
      async () => {
        if (!(await writer.writeJournaled(batches, stamps))) throw new NotAccepted();
      },
      through(gate, state, deliveries, stamps),
    );
  } catch (error) {
    if (!(error instanceof NotAccepted)) throw error;
    for (const batch of batches) await publishTexts(connection, writer, state, batch.deliveries, gate, batch);
    return false;
  }
  for (const stamp of stamps) state.committed(stamp);
  return true;
}

class NotAccepted extends Error {}

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
