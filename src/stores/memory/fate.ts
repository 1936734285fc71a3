/**
 * The fate of an id: a line for each time it was sent. What was taken in tells it by its entries, a repeat is kept
 * for this alone, and what was refused stands among the rejects.
 */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { formatTimestamp } from '../../engine/calendar.ts';
import type { Fate, FateLine } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import type { VerdictName } from '../../engine/verdicts.ts';
import {
  entryOf,
  type Ledger,
  type Line,
  type Repeat,
  standingLines,
  streamLedger,
  valuesInOrder,
} from './ledger.ts';

export function fate(ledger: Ledger, stream: Stream, id: string): Fate {
  const kept = streamLedger(ledger, stream);
  const own = kept.lines.filter((line) => line.id === id);
  const repeats = kept.repeats.filter((repeat) => repeat.id === id);
  const rejects = streamLedger(ledger, rejectsStream).lines.filter(
    ({ sign, values }) =>
      sign === 1 && values.get('stream') === stream.name && values.get('record_id') === id,
  );
  const told = [
    // A correction writes two lines; the one of sign +1 tells it.
    ...own
      .filter((line) => line.sign === 1 || line.verdict === 'retracted')
      .map((line) => lineOf(line, line.verdict, line.reason, valuesInOrder(stream, line.values))),
    ...repeats.map((repeat) => lineOf(repeat, 'duplicate', repeat.reason, null)),
    ...rejects.map((line) => {
      const code = line.values.get('code')!;
      return lineOf(line, code === 'conflict' ? 'conflict' : 'rejected', code, null);
    }),
  ];
  const standing = standingLines(own, undefined)[0];
  return {
    standing: standing ? entryOf(stream, standing) : null,
    // Within a batch: what was taken in, then repeats, then what was refused. (Sorting leaves equals in order.)
    lines: told.sort((a, b) => a.batch - b.batch),
  };
}

function lineOf(
  { batch, recordedAt, source, import: imported }: Line | Repeat,
  verdict: VerdictName,
  reason: string | null,
  values: FateLine['values'],
): FateLine {
  return {
    verdict,
    batch,
    recorded_at: formatTimestamp(recordedAt),
    source,
    import: imported,
    reason,
    values,
  };
}
