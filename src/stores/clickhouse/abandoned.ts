/**
 * What a process has written and died before it committed: rows under parts that nobody counts. They are removed when it
 * is sure that nobody will commit them, which takes three steps, with what is known kept in the table of commits.
 *
 * A part of which there are rows and that is not committed is a suspect: its process may be at work on it. One that is a
 * suspect still after a day (`abandoned_seconds`) is declared void, by a commit. A process that lives and has been slow
 * reads that before it can take a position behind it, and then cannot commit the part (`take` in ledger-state.ts): it
 * does its batch or file again under other parts. So no clock decides whether something is lost, only whether it is done
 * twice. Rows of void parts are deleted, whenever they come.
 */
import { limits } from '../../engine/limits.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Connection } from './connection.ts';
import type { LedgerState, Suspects } from './ledger-state.ts';
import { duplicatesTable, entriesTable, quote, rollupTable } from './names.ts';
import { keptRollups } from './rollups.ts';
import { partAgain, schemaVersion } from './schema.ts';

export async function removeAbandoned(
  connection: Connection,
  state: LedgerState,
  streams: Iterable<Stream>,
): Promise<void> {
  await state.refresh();
  const found = new Map<string, bigint[]>();
  for (const stream of streams)
    for (const table of tablesOf(stream, state)) {
      const rows = await connection.rows(
        `select distinct _part from ${quote(table)} where not ${state.visible()}`,
      );
      if (rows.length > 0)
        found.set(
          table,
          rows.map(([part]) => BigInt(String(part))),
        );
    }
  await state.refresh();
  const parts = [...new Set([...found.values()].flat())].filter((part) => !state.counts(part));
  const now = state.nextInstant();
  const abandoned = parts.filter((part) => {
    const since = state.suspectSince(part);
    return since !== undefined && since + BigInt(limits.abandoned_seconds) * 1_000_000n <= now;
  });
  await declareVoid(
    state,
    abandoned.filter((part) => !state.isVoid(part)),
  );
  const suspects = parts.filter((part) => !state.isVoid(part) && state.suspectSince(part) === undefined);
  if (suspects.length > 0) {
    const value: Suspects = { at: String(now), parts: suspects.map(String) };
    await state.take([{ kind: 'suspects', value: JSON.stringify(value) }], async () => true);
  }
  for (const [table, ofTable] of found) {
    const dead = ofTable.filter((part) => state.isVoid(part) && !state.counts(part));
    if (dead.length > 0) await connection.remove(table, `${partAgain} in (${dead.join(', ')})`);
  }
}

function tablesOf(stream: Stream, state: LedgerState): string[] {
  const rollups = keptRollups(stream, state).map((rollup) => rollupTable(stream, rollup));
  return [entriesTable(stream), duplicatesTable(stream), ...rollups];
}

/** What has been committed in the last moment after all is left out; the next time finds the rest. */
async function declareVoid(state: LedgerState, parts: readonly bigint[]): Promise<void> {
  if (parts.length === 0) return;
  await state.take(
    [
      { kind: 'void', value: JSON.stringify(parts.map(String)) },
      // Code that knows nothing of void parts must not go on beside this.
      { kind: 'epoch', value: String(schemaVersion) },
    ],
    async () => !parts.some((part) => state.counts(part)),
  );
}
