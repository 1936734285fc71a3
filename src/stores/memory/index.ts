/**
 * The memory store: plain and slow, and obviously right. It shares with the other stores only the declarations and
 * checkers of the engine, keeps every line in an array, and recounts for every answer; so the contract tests
 * use it as the oracle, and tests of other rooms where no file should be left behind. It dies with the process.
 */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { type Micros, nowMicros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Store, StreamState } from '../../engine/store.ts';
import { checkEvolution, type Stream } from '../../engine/stream.ts';
import { ask } from './ask.ts';
import { entries } from './entries.ts';
import { fate } from './fate.ts';
import { draftOf, emptyLedger, type Ledger, type StreamLedger } from './ledger.ts';
import { publish } from './publish.ts';
import { sums } from './sums.ts';
import { drop } from './tend.ts';
import { verify } from './verify.ts';

export function openMemoryStore(options: { clock?: () => Micros } = {}): Store {
  const clock = options.clock ?? nowMicros;
  let ledger = emptyLedger();
  let closed = false;
  // Everything below happens within one turn of the event loop, so calls that overlap come one after the other.
  const open = (): Ledger => {
    if (closed) throw new TallybookError('closing', 'the store is closed');
    return ledger;
  };
  return {
    async prepare(streams) {
      const draft = draftOf(open());
      for (const stream of [rejectsStream, ...streams]) declare(draft, stream);
      ledger = draft;
      return new Map([...ledger.streams].map(([name, kept]) => [name, stateOf(kept)]));
    },
    async publish(deliveries) {
      const published = publish(open(), deliveries, clock);
      ledger = published.ledger;
      return published.receipts;
    },
    ask: async (plan) => ask(open(), plan),
    sums: async (plans) => sums(open(), plans),
    entries: async (request) => entries(open(), request),
    fate: async (stream, id) => fate(open(), stream, id),
    async tend(work) {
      const tended = drop(open(), work.drop);
      ledger = tended.ledger;
      return { dropped: tended.dropped };
    },
    verify: async () => verify(open()),
    async close() {
      closed = true;
    },
  };
}

/** A rollup that is new counts what is in the ledger then; what was dropped before is not known to it. */
function declare(draft: Ledger, stream: Stream): void {
  const kept = draft.streams.get(stream.name);
  if (!kept) {
    const droppedLines = new Map(stream.rollups.map(({ name }) => [name, []]));
    const empty = {
      lines: [],
      repeats: [],
      droppedBefore: undefined,
      droppedLines,
      rollupsCompleteFrom: new Map(),
    };
    draft.streams.set(stream.name, { stream, ...empty });
    return;
  }
  checkEvolution(kept.stream, stream);
  kept.stream = stream;
  for (const { name } of stream.rollups) {
    if (kept.droppedLines.has(name)) continue;
    kept.droppedLines.set(name, []);
    if (kept.droppedBefore !== undefined) kept.rollupsCompleteFrom.set(name, kept.droppedBefore);
  }
}

function stateOf({ droppedBefore, rollupsCompleteFrom }: StreamLedger): StreamState {
  return { droppedBefore, rollupsCompleteFrom: new Map(rollupsCompleteFrom) };
}
