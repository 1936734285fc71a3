/**
 * Retention: lines of records from before a time are dropped. The rollups that are there go on counting them, so
 * each keeps its own list of what was dropped; that is not cheap, but plain.
 */
import type { Micros } from '../../engine/calendar.ts';
import { timeOf } from '../../engine/stage-record.ts';
import type { Stream } from '../../engine/stream.ts';
import { draftOf, type Ledger, streamLedger } from './ledger.ts';

export function drop(
  ledger: Ledger,
  work: { stream: Stream; before: Micros }[],
): { ledger: Ledger; dropped: number } {
  const draft = draftOf(ledger);
  let dropped = 0;
  for (const { stream, before } of work) {
    const kept = streamLedger(draft, stream);
    const gone = kept.lines.filter((line) => timeOf(stream, line)! < before);
    kept.lines = kept.lines.filter((line) => timeOf(stream, line)! >= before);
    const held = new Set(kept.lines.map((line) => line.seq));
    kept.repeats = kept.repeats.filter((repeat) => held.has(repeat.of));
    for (const [rollup, lines] of kept.droppedLines) kept.droppedLines.set(rollup, [...lines, ...gone]);
    if (kept.droppedBefore === undefined || before > kept.droppedBefore) kept.droppedBefore = before;
    dropped += gone.length;
  }
  return { ledger: draft, dropped };
}
