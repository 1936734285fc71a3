/** Deliveries of texts, and the batches that they make. */
import type { Micros } from '../../engine/calendar.ts';
import type { Delivery, Texts } from '../../engine/store.ts';

export type TextDelivery = Delivery & { content: Texts };

/** A batch that was acknowledged, and is not in the database yet (see intake.ts). */
export interface JournaledBatch {
  batch: number;
  recordedAt: Micros;
  deliveries: TextDelivery[];
}

/** Deliveries that share stream, form, mode, source and reason, together: what becomes a part. */
export function partsOf(deliveries: readonly TextDelivery[]): TextDelivery[][] {
  const parts = new Map<string, TextDelivery[]>();
  for (const delivery of deliveries) {
    const { stream, form, mode, source, reason } = delivery;
    const key = JSON.stringify([stream.name, form?.form, mode, source, reason]);
    const part = parts.get(key);
    if (part) part.push(delivery);
    else parts.set(key, [delivery]);
  }
  return [...parts.values()];
}
