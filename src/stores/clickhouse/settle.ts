/** What becomes of staged records by their ids, and what a draft gets of it (engine/verdicts.ts, the seventh rule). */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { type Meeting, meet, rejectValues, type StagedRow, verdictOf } from '../../engine/settling.ts';
import type { Values } from '../../engine/stage-record.ts';
import type { Delivery } from '../../engine/store.ts';
import { countOfVerdict, type Verdict } from '../../engine/verdicts.ts';
import type { Draft, DraftPart, StreamDraft } from './draft.ts';

export interface Settled {
  verdicts: Verdict[];
  /** Of records that were taken in. */
  notes: string[];
}

/**
 * @param first the position of the first row in what was sent
 * @param newIds no row can be known
 */
export async function settle(
  draft: Draft,
  delivery: Delivery,
  part: DraftPart,
  rows: readonly StagedRow[],
  { first = 0, newIds = false }: { first?: number; newIds?: boolean } = {},
): Promise<Settled> {
  const { stream, content } = delivery;
  const into = draft.of(stream);
  const wellFormed = rows.filter(({ staged }) => 'values' in staged.checked);
  if (!newIds) await into.load(wellFormed.map(({ staged }) => staged.id!));
  const replays = content.kind === 'texts' ? content.replays : undefined;
  if (replays) await draft.of(rejectsStream).load(replays);
  const replayPart = replays && (await replayedPart(draft, delivery));
  const notes: string[] = [];
  const verdicts = rows.map(({ row, staged, note }, i): Verdict => {
    const index = first + i;
    const met: Meeting =
      'refusal' in staged.checked
        ? { verdict: 'rejected', refusal: staged.checked.refusal }
        : write(into, delivery, part, staged.id!, staged.checked.values);
    part.counts[countOfVerdict[met.verdict]] += 1;
    const replayed = replays?.[index];
    if (met.refusal && replayed === undefined) {
      const rejects = draft.of(rejectsStream);
      const id = `r${rejects.nextSeq}`;
      const reject = { delivery, import: part.import, row, index, recordId: staged.id, refusal: met.refusal };
      rejects.append(part, id, rejectValues({ ...reject, id, at: draft.recordedAt }));
    }
    if (!met.refusal && replayed !== undefined) leave(draft.of(rejectsStream), replayPart!, replayed);
    if (note !== undefined && (met.verdict === 'accepted' || met.verdict === 'corrected')) notes.push(note);
    return verdictOf(index, staged, met);
  });
  return { verdicts, notes };
}

/** What becomes of a record by its id, and what this writes. */
function write(
  into: StreamDraft,
  { stream, mode }: Delivery,
  part: DraftPart,
  id: string,
  values: Values,
): Meeting {
  const { standing, last } = into.known(id);
  const met = meet(stream, mode, values, standing?.values, () => last !== undefined);
  const { verdict } = met;
  if (verdict === 'duplicate') into.repeat(part, id);
  if (verdict === 'retracted' || verdict === 'corrected') into.takeBack(part, id);
  if (verdict === 'accepted' || verdict === 'corrected') into.append(part, id, values);
  return met;
}

function replayedPart(draft: Draft, { source }: Delivery): Promise<DraftPart> {
  return draft.part({
    stream: rejectsStream.name,
    mode: 'retract',
    source,
    import: null,
    reason: 'replayed',
  });
}

/** A reject whose record has now been taken in, or stands already, leaves the list. */
function leave(rejects: StreamDraft, part: DraftPart, id: string): void {
  if (!rejects.known(id).standing) return;
  rejects.takeBack(part, id);
  part.counts.retracted += 1;
}
