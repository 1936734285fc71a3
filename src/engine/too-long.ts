/**
 * Records of a body in memory that are longer than a record may be. No store takes them. They go to the rejects, in the
 * commit of the others that came with them, with their beginning; the receipt tells of all, by their places in the body.
 */
import { randomUUID } from 'node:crypto';
import { rejectsStream } from './built-in-streams.ts';
import { formatTimestamp, nowMicros } from './calendar.ts';
import type { Taken } from './front-log.ts';
import { limits } from './limits.ts';
import { bookDelivery } from './own-books.ts';
import type { TextDelivery, Texts } from './store.ts';
import type { Tallybook } from './tallybook.ts';
import { noCounts, type Receipt, type Verdict } from './verdicts.ts';

export interface TooLong {
  bytes: number;
  /** The beginning of what came. */
  kept: string;
}

/** The reject is a record, too: whatever stands in it as JSON, with six characters for one at worst, it must not be too long. */
const keptBytes = 262_144;

export function tooLong(text: string, original: string): TooLong {
  const start = Buffer.from(original.slice(0, keptBytes)).subarray(0, keptBytes);
  // A character that was cut in two ends in a mark for one that is none.
  const kept = start.toString().replace(/\ufffd+$/, '');
  return { bytes: Buffer.byteLength(text), kept };
}

export function tooLongMessage({ bytes }: TooLong): string {
  return `the record has ${bytes} bytes; expected at most ${limits.record_bytes}. Its beginning is kept; send it in parts`;
}

/**
 * What a door does with a delivery of which some records are too long, by their places: with the others it does what it does
 * with any delivery. A log in front takes none that is too long: so these go to the ledger after all that the log holds.
 */
export async function takeBounded(
  tallybook: Tallybook,
  delivery: TextDelivery,
  long: ReadonlyMap<number, TooLong> | undefined,
  idempotencyKey: string | undefined,
): Promise<Taken> {
  if (!long) return tallybook.take(delivery, idempotencyKey);
  await tallybook.frontLog?.settled();
  const places = delivery.content.texts.map((_, place) => place).filter((place) => !long.has(place));
  const rejects = bookDelivery(rejectsStream, 'insert', rejectsOf(delivery, long)) as TextDelivery;
  const others = { ...delivery, content: contentAt(delivery.content, places) };
  const together = places.length > 0 ? [rejects, others] : [rejects];
  const [kept, receipt] = await tallybook.writer.submitTogether(together);
  return whole(delivery, long, places, receipt ?? { ...kept!, ...noCounts(), received: 0, verdicts: [] });
}

function rejectsOf(
  { stream, form, source, mode }: TextDelivery,
  long: ReadonlyMap<number, TooLong>,
): string[] {
  const of = { stream: stream.name, source, mode, code: 'unreadable', form: form?.form ?? null };
  const at = formatTimestamp(nowMicros());
  const prefix = randomUUID();
  return [...long].map(([index, record]) => {
    const id = `long:${prefix}:${index}`;
    const message = tooLongMessage(record);
    return JSON.stringify({ ...of, id, at, message, index, original: record.kept, encoding: 'utf8' });
  });
}

function contentAt({ texts, fallbackIds, undecodable }: Texts, places: readonly number[]): Texts {
  const bytes = places.flatMap((place, index): [number, string][] => {
    const given = undecodable?.get(place);
    return given === undefined ? [] : [[index, given]];
  });
  return {
    kind: 'texts',
    texts: places.map((place) => texts[place]!),
    fallbackIds: places.map((place) => fallbackIds[place]!),
    ...(bytes.length > 0 && { undecodable: new Map(bytes) }),
  };
}

function whole(
  { allVerdicts }: TextDelivery,
  long: ReadonlyMap<number, TooLong>,
  places: readonly number[],
  receipt: Receipt,
): Receipt {
  const refused = [...long].map(
    ([index, record]): Verdict => ({
      index,
      id: null,
      verdict: 'rejected',
      code: 'unreadable',
      message: tooLongMessage(record),
    }),
  );
  const told = receipt.verdicts.map((verdict) => ({ ...verdict, index: places[verdict.index]! }));
  const most = allVerdicts ? limits.receipt_verdicts_all : limits.receipt_verdicts;
  return {
    ...receipt,
    received: receipt.received + long.size,
    rejected: receipt.rejected + long.size,
    verdicts: [...told, ...refused].sort((a, b) => a.index - b.index).slice(0, most),
  };
}
