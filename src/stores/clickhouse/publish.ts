/**
 * Publishing: records in memory. A draft is settled against what stands, written where nobody sees it, and committed.
 * When another process was first with the same streams, all of that is done again.
 */
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import { readTexts } from '../../engine/rows.ts';
import { groupsOf, notesDelivery, refuseUnlessNew, stageRows } from '../../engine/settling.ts';
import { boundsOf } from '../../engine/stage-record.ts';
import type { Delivery, TextDelivery } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import {
  countOfVerdict,
  noCounts,
  type Receipt,
  type Verdict,
  type VerdictCounts,
} from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import { Draft, partLine } from './draft.ts';
import type { Committed, LedgerState, Stamp, Watch } from './ledger-state.ts';
import { addSums, keptRollups } from './rollups.ts';
import { settle } from './settle.ts';

/** A batch that lost so often has writers beside it that no waiting room keeps up with. */
export const attemptsMax = 50;

export async function publishTexts(
  connection: Connection,
  state: LedgerState,
  deliveries: TextDelivery[],
): Promise<Receipt[]> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    await state.refresh();
    const watch = state.watch();
    try {
      const draft = new Draft(connection, state, state.nextInstant());
      const verdicts = new Map<Delivery, Verdict[]>();
      for (const group of groupsOf(deliveries)) await settleGroup(draft, group, verdicts);
      for (const delivery of deliveries) refuseUnlessNew(delivery, countsOf(verdicts.get(delivery)!));
      await writeDraft(draft);
      const stamp = await commitDraft(draft, watch);
      if (stamp) return deliveries.map((delivery) => receiptOf(delivery, verdicts.get(delivery)!, stamp));
    } finally {
      watch.end();
    }
  }
  throw tooBusy();
}

export function tooBusy(): TallybookError {
  return new TallybookError(
    'overloaded',
    'other processes write to the same streams without a pause; send it again',
    { retryAfter: 1 },
  );
}

/** Settles deliveries of texts that share all that makes a part, and what their check notes. */
export async function settleGroup(
  draft: Draft,
  group: TextDelivery[],
  verdicts: Map<Delivery, Verdict[]>,
): Promise<void> {
  const { stream, form, mode, source, reason } = group[0]!;
  const of = { stream: stream.name, form: form?.form, mode, source, import: null, reason: reason ?? null };
  const part = await draft.part(of);
  const { droppedBefore } = draft.state.books(stream.name);
  const bounds = boundsOf(stream, draft.recordedAt, droppedBefore);
  const staged = group.map((delivery) => stageRows(delivery, readTexts(delivery.content, mode), bounds));
  // All ids in one look.
  const ids = staged.flat().flatMap(({ staged: { id, checked } }) => ('values' in checked ? [id!] : []));
  await draft.of(stream).load(ids);
  const notes: string[] = [];
  for (const [i, delivery] of group.entries()) {
    const settled = await settle(draft, delivery, part, staged[i]!);
    verdicts.set(delivery, settled.verdicts);
    notes.push(...settled.notes);
  }
  if (notes.length > 0) await settleTexts(draft, notesDelivery(group[0]!, notes));
}

/** Settles one delivery of texts; what is told of its records is not asked for. */
export async function settleTexts(draft: Draft, delivery: Delivery): Promise<void> {
  if (delivery.content.kind !== 'texts') throw new Error('what is published alongside must be texts');
  await settleGroup(draft, [{ ...delivery, content: delivery.content }], new Map());
}

/** Writes entries, then the sums of them. */
export async function writeDraft(draft: Draft): Promise<void> {
  await draft.write();
  const parts = [...draft.parts.values()].map(({ number }) => number);
  await Promise.all(
    draft.streams.map(
      ({ stream, bounds }) => bounds && writeSums(draft.connection, draft.state, stream, parts, bounds),
    ),
  );
}

/** Adds the sums of the entries of some parts to the rollups of their stream. */
export async function writeSums(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  parts: readonly bigint[],
  bounds: { from: Micros; to: Micros },
): Promise<void> {
  const conditions = [`_e._part in (${parts.join(', ')})`];
  await Promise.all(
    keptRollups(stream, state).map((rollup) =>
      addSums(connection, stream, rollup, bounds, { conditions, part: '_e._part' }, `sums ${parts[0]}`),
    ),
  );
}

/** Undefined when others have committed to a stream that the draft has to do with. */
function commitDraft(draft: Draft, since: Watch): Promise<Stamp | undefined> {
  const streams = new Set(draft.streams.map(({ stream }) => stream.name));
  const concerns = ({ stream }: Committed): boolean => streams.has(stream ?? '');
  return draft.state.take(
    [...[...draft.parts.values()].map(partLine), ...draft.seqs],
    async (others) => !others.some(concerns),
    { since, recordedAt: draft.recordedAt },
  );
}

export function receiptOf(
  { allVerdicts }: Delivery,
  verdicts: readonly Verdict[],
  { batch, recordedAt }: Pick<Stamp, 'batch' | 'recordedAt'>,
): Receipt {
  return {
    batch,
    recorded_at: formatTimestamp(recordedAt),
    ...countsOf(verdicts),
    verdicts: allVerdicts
      ? verdicts.slice(0, limits.receipt_verdicts_all)
      : verdicts.filter(({ verdict }) => verdict !== 'accepted').slice(0, limits.receipt_verdicts),
  };
}

function countsOf(verdicts: readonly Verdict[]): VerdictCounts & { received: number } {
  const counts = { received: verdicts.length, ...noCounts() };
  for (const { verdict } of verdicts) counts[countOfVerdict[verdict]] += 1;
  return counts;
}
