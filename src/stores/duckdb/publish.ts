/**
 * Publishing what came in memory: all deliveries of a call in one commit. Deliveries are concurrent requests, so
 * those that share stream, form, mode, source and reason are put together as one part, in the order of their arrival.
 */
import { formatTimestamp } from '../../engine/calendar.ts';
import type { Delivery, Texts } from '../../engine/store.ts';
import { noCounts, type Receipt } from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import type { BatchStamp, LedgerState } from './ledger-state.ts';
import type { PartWriter } from './part.ts';

export type TextDelivery = Delivery & { content: Texts };

/** The caller holds the writer's lock. */
export async function publishTexts(
  connection: Connection,
  writer: PartWriter,
  state: LedgerState,
  deliveries: TextDelivery[],
): Promise<Receipt[]> {
  const stamp: BatchStamp = {
    batch: state.reserveBatch(),
    recordedAt: state.nextInstant(),
    parts: [],
    rejects: [],
  };
  const receipts = new Map<Delivery, Receipt>();
  const parts = new Map<string, TextDelivery[]>();
  for (const delivery of deliveries) {
    if (delivery.content.texts.length === 0) {
      receipts.set(delivery, {
        batch: stamp.batch,
        recorded_at: formatTimestamp(stamp.recordedAt),
        received: 0,
        ...noCounts(),
        verdicts: [],
      });
      continue;
    }
    const { stream, form, mode, source, reason } = delivery;
    const key = JSON.stringify([stream.name, form?.form, mode, source, reason]);
    const part = parts.get(key);
    if (part) part.push(delivery);
    else parts.set(key, [delivery]);
  }
  if (parts.size > 0) {
    const checks = deliveries.flatMap(({ check }) => check ?? []);
    await writer.prepare(
      new Set([...deliveries.map(({ stream }) => stream), ...checks.map(({ notes }) => notes)]),
    );
    await connection.transaction(async () => {
      for (const part of parts.values()) {
        const written = await writer.write(part, stamp);
        part.forEach((delivery, i) => {
          receipts.set(delivery, written[i]!);
        });
      }
    });
    state.committed(stamp);
  }
  return deliveries.map((delivery) => receipts.get(delivery)!);
}
