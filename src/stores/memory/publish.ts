/**
 * One commit: deliveries in, verdicts and entries out.
 *
 * The deliveries of one call are grouped by stream, form, mode, source and reason, in order of first appearance; they
 * are concurrent requests, so any order between them is a right one, and this is the order of every store. Within
 * a group they come in order of delivery, and their records in the order in which they were sent. Every record meets what
 * stands before it, records of the same commit included.
 */
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import { matchesWhole } from '../../engine/field-types.ts';
import { limits } from '../../engine/limits.ts';
import type { Refused } from '../../engine/record-check.ts';
import { type Row, readTexts } from '../../engine/rows.ts';
import type { Values } from '../../engine/stage-record.ts';
import {
  boundsOf,
  judge,
  type Refusal,
  type Staged,
  stageRecord,
  stageRetraction,
} from '../../engine/stage-record.ts';
import { type Delivery, type File, type StandingOfImport, takingBack } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import {
  countOfVerdict,
  noCounts,
  type Receipt,
  type RejectCode,
  recordMessages,
  type Verdict,
  type VerdictName,
} from '../../engine/verdicts.ts';
import { type Warning, type Watched, warningsFrom, watchedOf } from '../../engine/warnings.ts';
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
  for (const delivery of inGroups(deliveries)) {
    const receipt = settle(draft, batch, delivery);
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

function inGroups(deliveries: Delivery[]): Delivery[] {
  const groups = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const { stream, form, mode, source, reason } = delivery;
    const key = JSON.stringify([stream.name, form?.form, mode, source, reason]);
    groups.set(key, [...(groups.get(key) ?? []), delivery]);
  }
  return [...groups.values()].flat();
}

function settle(ledger: Ledger, batch: Batch, delivery: Delivery): Receipt {
  const { stream, form = stream, mode, content } = delivery;
  const kept = streamLedger(ledger, stream);
  const into: Publishing = { ledger, kept, batch, delivery, import: importOf(delivery) };
  const bounds = boundsOf(stream, batch.recordedAt, kept.droppedBefore);
  const standing = new Map(standingLines(kept.lines, undefined).map((line) => [line.id, line]));
  const rows = rowsOf(into, standing);
  report(delivery, 'comparing', rows.length);
  const stagedRows = rows.map((row) =>
    mode === 'retract' ? stageRetraction(stream, row) : stageRecord(form, row, bounds),
  );
  const judgements = judge(delivery, stagedRows);
  const notes: string[] = [];
  const wellFormed: Values[] = [];
  const verdicts = stagedRows.map((fine, index): Verdict => {
    const row = rows[index]!;
    const judgement = judgements.get(index);
    const staged = judgement && 'refused' in judgement ? refusedByCheck(fine, judgement.refused) : fine;
    if ('values' in staged.checked) wellFormed.push(staged.checked.values);
    const { verdict, refusal } =
      'refusal' in staged.checked
        ? { verdict: 'rejected' as const, refusal: staged.checked.refusal }
        : meet(into, standing, staged.id!, staged.checked.values);
    const replayed = content.kind === 'texts' ? content.replays?.[index] : undefined;
    if (replayed !== undefined && !refusal) takeBackReplayed(into, replayed);
    if (judgement && 'note' in judgement && (verdict === 'accepted' || verdict === 'corrected'))
      notes.push(judgement.note);
    if (replayed === undefined && refusal) keepReject(into, row, index, staged.id, refusal);
    return verdictOf(index, staged, verdict, refusal);
  });
  report(delivery, 'publishing', rows.length);
  if (notes.length > 0) settle(ledger, batch, notesDelivery(delivery, notes));
  const receipt = receiptOf(batch, verdicts, delivery.allVerdicts);
  return content.kind === 'file' ? { ...receipt, ...warnings(form, wellFormed) } : receipt;
}

/** Only where there are some. */
function warnings(stream: Stream, records: Values[]): { warnings?: Warning[] } {
  const watched = watchedOf(stream);
  const meets = ({ field, code, pattern }: Watched, values: Values): boolean => {
    const value = values.get((stream.of ?? stream).fields[stream.fields.indexOf(field)]!.name) ?? null;
    return code === 'missing' ? value === null : value !== null && !matchesWhole(pattern, value);
  };
  const counts = watched.map((watch) => records.filter((values) => meets(watch, values)).length);
  const found = warningsFrom(watched, counts);
  return found.length > 0 ? { warnings: found } : {};
}

function refusedByCheck({ id }: Staged, { code, field, message }: Refused): Staged {
  return { id, checked: { refusal: { code, field, message } } };
}

function notesDelivery({ check, source, content }: Delivery, notes: string[]): Delivery {
  const texts = content.kind === 'texts' ? notes : notes.slice(0, limits.file_notes);
  return {
    stream: check!.notes,
    mode: 'upsert',
    source,
    reason: undefined,
    content: { kind: 'texts', texts, fallbackIds: texts.map(() => '') },
    allVerdicts: false,
  };
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

/** The seventh rule of precedence: what becomes of a record by its id, and the lines that this writes. */
function meet(
  into: Publishing,
  standing: Map<string, Line>,
  id: string,
  values: Values,
): { verdict: VerdictName; refusal?: Refusal } {
  const { kept, delivery } = into;
  const found = standing.get(id);
  if (delivery.mode === 'retract') {
    if (found) {
      standing.delete(id);
      takeBack(into, kept, found, 'retracted', delivery.reason);
      return { verdict: 'retracted' };
    }
    const last = kept.lines.findLast((line) => line.id === id);
    return last ? repeat(into, last) : refused('rejected', 'not_found', recordMessages.not_found);
  }
  if (found && sameContent(into, found.values, values)) return repeat(into, found);
  if (found && delivery.mode === 'insert') return refused('conflict', 'conflict', recordMessages.conflict);
  const verdict = found ? 'corrected' : 'accepted';
  if (found) takeBack(into, kept, found, 'corrected', delivery.reason);
  standing.set(id, append(into, kept, id, values, verdict));
  return { verdict };
}

function refused(
  verdict: VerdictName,
  code: RejectCode,
  message: string,
): { verdict: VerdictName; refusal: Refusal } {
  return { verdict, refusal: { code, field: undefined, message } };
}

function repeat(
  { ledger, kept, batch, delivery, import: imported }: Publishing,
  of: Line,
): { verdict: 'duplicate' } {
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
  return { verdict: 'duplicate' };
}

function sameContent({ delivery }: Publishing, a: Values, b: Values): boolean {
  return delivery.stream.fields.every(({ name }) => (a.get(name) ?? null) === (b.get(name) ?? null));
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

function verdictOf(
  index: number,
  { id }: Staged,
  verdict: VerdictName,
  refusal: Refusal | undefined,
): Verdict {
  if (!refusal) return { index, id, verdict };
  const { code, field, message } = refusal;
  return { index, id, verdict, code, ...(field === undefined ? {} : { field }), message };
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
