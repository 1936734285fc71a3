/**
 * One commit: deliveries in, verdicts and entries out.
 *
 * The deliveries of one call are grouped by stream, form, mode, source and reason, in order of first appearance; they
 * are concurrent requests, so any order between them is a right one, and this is the order of every store. Within
 * a group they come in order of delivery, and their records in the order in which they were sent. Every record meets what
 * stands before it, records of the same commit included.
 */
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import { limits } from '../../engine/limits.ts';
import { type Row, readTexts } from '../../engine/rows.ts';
import {
  groupsOf,
  type Meeting,
  meet,
  notesDelivery,
  refuseUnlessNew,
  stageRows,
  verdictOf,
  WarningCounts,
} from '../../engine/settling.ts';
import { boundsOf, type Values } from '../../engine/stage-record.ts';
import { type Delivery, type File, type StandingOfImport, takingBack } from '../../engine/store.ts';
import { countOfVerdict, noCounts, type Receipt, type Verdict } from '../../engine/verdicts.ts';
import { type Batch, draftOf, type Ledger, type Line, standingLines, streamLedger } from './ledger.ts';
import { readFile } from './read.ts';
import { keepReject, takeBackReplayed } from './rejects.ts';
import { append, type Publishing, takeBack } from './write.ts';

/** Publishes to a draft of the ledger and gives it back; when anything throws, the ledger is as it was. */
export function publish(
  ledger: Ledger,
  deliveries: Delivery[],
  clock: () => Micros,
): { ledger: Ledger; receipts: Receipt[] } {
  const draft = draftOf(ledger);
  const last = draft.batches.at(-1);
  const now = clock();
  const batch: Batch = {
    batch: (last?.batch ?? 0) + 1,
    recordedAt: last && now <= last.recordedAt ? last.recordedAt + 1n : now,
    receipts: [],
  };
  const receipts = new Map<Delivery, Receipt>();
  for (const delivery of groupsOf(deliveries).flat()) {
    const receipt = settle(draft, batch, delivery);
    refuseUnlessNew(delivery, receipt);
    receipts.set(delivery, receipt);
    const { content } = delivery;
    if (content.kind === 'texts') continue;
    if (content.kind === 'file' && content.replaces !== undefined)
      settle(draft, batch, takingBack({ ...delivery, content }, content.replaces));
    for (const beside of content.alongside?.(receipt) ?? []) settle(draft, batch, beside);
  }
  draft.batches.push(batch);
  return { ledger: draft, receipts: deliveries.map((delivery) => receipts.get(delivery)!) };
}

function settle(ledger: Ledger, batch: Batch, delivery: Delivery): Receipt {
  const { stream, form = stream, content } = delivery;
  const kept = streamLedger(ledger, stream);
  const into: Publishing = { ledger, kept, batch, delivery, import: importOf(delivery) };
  const bounds = boundsOf(stream, batch.recordedAt, kept.droppedBefore);
  const standing = new Map(standingLines(kept.lines, undefined).map((line) => [line.id, line]));
  const rows = rowsOf(into, standing);
  report(delivery, 'comparing', rows.length);
  const notes: string[] = [];
  const warnings = new WarningCounts(form);
  const verdicts = stageRows(delivery, rows, bounds).map(({ row, staged, note }, index): Verdict => {
    if ('values' in staged.checked) warnings.add(staged.checked.values);
    const met =
      'refusal' in staged.checked
        ? { verdict: 'rejected' as const, refusal: staged.checked.refusal }
        : write(into, standing, staged.id!, staged.checked.values);
    const replayed = content.kind === 'texts' ? content.replays?.[index] : undefined;
    if (replayed !== undefined && !met.refusal) takeBackReplayed(into, replayed);
    if (note !== undefined && (met.verdict === 'accepted' || met.verdict === 'corrected')) notes.push(note);
    if (replayed === undefined && met.refusal) keepReject(into, row, index, staged.id, met.refusal);
    return verdictOf(index, staged, met);
  });
  report(delivery, 'publishing', rows.length);
  if (notes.length > 0) settle(ledger, batch, notesDelivery(delivery, notes));
  const receipt = receiptOf(batch, verdicts, delivery.allVerdicts);
  return content.kind === 'file' ? { ...receipt, ...warnings.found } : receipt;
}

function rowsOf({ kept, delivery, import: undone }: Publishing, standing: Map<string, Line>): Row[] {
  const { content, mode } = delivery;
  report(delivery, 'staging', 0);
  switch (content.kind) {
    case 'texts':
      return readTexts(content, mode);
    case 'file':
      return readFile(delivery.form ?? delivery.stream, content, mode);
    case 'standing_of_import': {
      const ids = kept.lines
        .filter((line) => line.import === undone && standing.get(line.id) === line)
        .map((line) => line.id);
      return readTexts({ kind: 'texts', texts: ids.map((id) => JSON.stringify(id)), fallbackIds: ids }, mode);
    }
  }
}

/** What becomes of a record by its id, and the lines that this writes. */
function write(into: Publishing, standing: Map<string, Line>, id: string, values: Values): Meeting {
  const { kept, delivery } = into;
  const { stream, mode, reason } = delivery;
  const found = standing.get(id);
  const last = () => kept.lines.findLast((line) => line.id === id);
  const met = meet(stream, mode, values, found?.values, () => last() !== undefined);
  const { verdict } = met;
  if (verdict === 'duplicate') repeat(into, found ?? last()!);
  if (verdict === 'retracted') standing.delete(id);
  if (verdict === 'retracted' || verdict === 'corrected') takeBack(into, kept, found!, verdict, reason);
  if (verdict === 'accepted' || verdict === 'corrected')
    standing.set(id, append(into, kept, id, values, verdict));
  return met;
}

function repeat({ ledger, kept, batch, delivery, import: imported }: Publishing, of: Line): void {
  kept.repeats.push({
    seq: ++ledger.lastSeq,
    of: of.seq,
    batch: batch.batch,
    recordedAt: batch.recordedAt,
    source: delivery.source,
    import: imported,
    reason: delivery.reason ?? null,
    id: of.id,
  });
}

function importOf({ content }: Delivery): number | null {
  return content.kind === 'texts' ? null : (content.import ?? null);
}

function report({ content }: Delivery, step: 'staging' | 'comparing' | 'publishing', rows: number): void {
  if (content.kind === 'texts') return;
  abortable(content);
  content.onProgress({ step, bytes_done: undefined, bytes_total: undefined, rows });
  abortable(content);
}

function abortable({ signal }: File | StandingOfImport): void {
  signal?.throwIfAborted();
}

function receiptOf(batch: Batch, verdicts: Verdict[], allVerdicts: boolean): Receipt {
  const counts = noCounts();
  for (const { verdict } of verdicts) counts[countOfVerdict[verdict]] += 1;
  batch.receipts.push({ ...counts, received: verdicts.length });
  return {
    batch: batch.batch,
    recorded_at: formatTimestamp(batch.recordedAt),
    received: verdicts.length,
    ...counts,
    verdicts: allVerdicts
      ? verdicts.slice(0, limits.receipt_verdicts_all)
      : verdicts.filter(({ verdict }) => verdict !== 'accepted').slice(0, limits.receipt_verdicts),
  };
}
