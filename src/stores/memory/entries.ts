/** Lists of entries: those that stand, or every line of the ledger behind a figure. */
import type { EntriesRequest, Entry } from '../../engine/store.ts';
import { selects } from './compare.ts';
import { entryOf, type Ledger, standingLines, streamLedger } from './ledger.ts';

export function entries(ledger: Ledger, request: EntriesRequest): Entry[] {
  const { stream, standing, newestFirst, source, after, limit, knownAt } = request;
  const { lines } = streamLedger(ledger, stream);
  const known = standing
    ? standingLines(lines, knownAt)
    : lines.filter((line) => knownAt === undefined || line.recordedAt <= knownAt);
  const selected = known.filter(
    (line) => (source === undefined || line.source === source) && selects(stream, request, line),
  );
  const ordered = newestFirst ? selected.toReversed() : selected;
  const rest = ordered.filter(
    ({ seq }) => after === undefined || (newestFirst ? seq < Number(after) : seq > Number(after)),
  );
  return rest.slice(0, limit).map((line) => entryOf(stream, line));
}
