/** Housekeeping: retention and verification. None of it changes an answer. */
import type { Micros } from '../../engine/calendar.ts';
import { StreamChecks } from '../../engine/checks.ts';
import type { Check } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Connection } from './connection.ts';
import type { LedgerState, Watch } from './ledger-state.ts';
import { commitsTable, duplicatesOf, duplicatesTable, entriesOf, entriesTable, literal } from './names.ts';
import { addSums, boundsOf, differences, keptRollups } from './rollups.ts';
import { instantOf, seen, standingConditions } from './standing.ts';

/**
 * Drops the records before a time. Their share of each rollup moves to rows marked `_dropped`, so that the rest still
 * equals the ledger and can be proved. From the commit on nobody sees the records; then the disk is rid of them.
 * Returns undefined when others have written to the stream meanwhile: then it must be done again.
 */
export async function dropRecords(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  before: Micros,
): Promise<number | undefined> {
  const watch = state.watch();
  try {
    return await dropSeen(connection, state, stream, before, watch);
  } finally {
    watch.end();
  }
}

async function dropSeen(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  before: Micros,
  since: Watch,
): Promise<number | undefined> {
  const conditions = [...seen(stream, state, ''), `${instantOf(stream)} < ${before}`];
  const part = await state.reservePart();
  const bounds = await boundsOf(connection, stream, conditions);
  for (const rollup of keptRollups(stream, state)) {
    const of = { conditions, part: String(part) };
    await addSums(connection, stream, rollup, bounds, { ...of, dropped: 1 }, `dropped ${part}`);
    await addSums(connection, stream, rollup, bounds, { ...of, negative: true }, `taken out ${part}`);
  }
  const [row] = await connection.rows(
    `select count() from ${entriesOf(stream)} _e where ${conditions.join(' and ')}`,
  );
  const stamp = await state.take(
    [{ kind: 'drop', stream: stream.name, part, value: String(before) }],
    async (others) => !others.some((line) => line.stream === stream.name),
    { since },
  );
  return stamp ? Number(row![0]) : undefined;
}

/** Frees what is dropped, and what was written and never committed by processes that are gone. */
export async function freeDropped(connection: Connection, state: LedgerState, stream: Stream): Promise<void> {
  const { droppedBefore } = state.books(stream.name);
  if (droppedBefore === undefined) return;
  const gone = `${instantOf(stream).replaceAll('_e.', '')} < ${droppedBefore}`;
  await connection.remove(
    duplicatesTable(stream),
    `_seq in (select _seq from ${entriesOf(stream)} where ${gone})`,
  );
  await connection.remove(entriesTable(stream), gone);
}

export async function verifyStream(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
): Promise<Check[]> {
  const entries = entriesOf(stream);
  const conditions = seen(stream, state, '');
  const where = conditions.join(' and ');
  const number = async (sql: string): Promise<number> => Number((await connection.rows(sql))[0]![0] ?? 0);
  const checks = new StreamChecks(stream);

  checks.add(
    'an id has at most one standing record',
    await number(
      `select count() from (select _id from ${entries} _e where ${standingConditions(stream, conditions).join(' and ')} group by _hash, _id having count() > 1)`,
    ),
    'ids with more than one',
  );
  checks.add(
    'every entry of sign -1 takes back one record of the same id',
    (await number(
      `select countIf((assumeNotNull(_e._reverses), _e._id) not in (select (_e._seq, _e._id) from ${entries} _e where ${where} and _e._sign = 1))
       from ${entries} _e where ${where} and _e._sign = -1`,
    )) +
      (await number(
        `select count() from (select _reverses from ${entries} _e where ${where} and _sign = -1 group by _reverses having count() > 1)`,
      )),
    'that do not',
  );
  checks.add(
    'seqs are unique',
    await number(`select count() - uniqExact(_seq) from ${entries} _e where ${where}`),
    'used twice',
  );
  checks.add(
    'hashes match ids',
    await number(
      `select countIf(_hash != reinterpretAsUInt64(reverse(substring(MD5(_id), 1, 8)))) from ${entries} _e where ${where}`,
    ),
    'that do not',
  );
  for (const rollup of keptRollups(stream, state))
    checks.add(
      `rollup ${rollup.name} equals the ledger`,
      await differences(connection, stream, rollup, state, conditions),
      'keys that differ',
    );
  if (state.books(stream.name).droppedBefore === undefined && !stream.builtIn) {
    const [row] = await connection.rows(
      `select sum(accepted + corrected), sum(corrected + retracted), sum(duplicates) from ${commitsTable}
       where kind = 'part' and stream = ${literal(stream.name)} and position <= ${state.position}`,
    );
    const [added, taken, repeated] = row!.map(Number) as [number, number, number];
    const difference = async (sql: string, expected: number) => Math.abs((await number(sql)) - expected);
    checks.add(
      'receipts add up to the entries',
      (await difference(`select countIf(_sign = 1) from ${entries} _e where ${where}`, added)) +
        (await difference(`select countIf(_sign = -1) from ${entries} _e where ${where}`, taken)) +
        (await difference(`select count() from ${duplicatesOf(stream)} where ${state.visible()}`, repeated)),
      'more or fewer',
    );
  }
  return checks.checks;
}
