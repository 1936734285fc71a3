/**
 * What a question sees: one snapshot of the database, and how far it reaches.
 *
 * A part is known at a time when it was recorded by then. The numbers of parts nearly follow their times, but not
 * quite: a file gets its number before its commit (see publish-file.ts). So 'known at t' is: up to the highest
 * number recorded by t, without the few below it that were recorded later.
 */
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import type { AsOf } from '../../engine/store.ts';
import type { Connection } from './connection.ts';

/** What a question sees, and how far it reaches. */
export interface Snapshot<T> {
  found: T;
  as_of: AsOf;
}

/**
 * Works in one snapshot. A short question that no commit disturbs needs no transaction, and no look for the last commit:
 * three statements less of four, and a quarter of its time.
 * @param isShort whether the work may be done twice
 * @param lastCommit the same object until there is another one; undefined where it is not known
 */
export async function inSnapshot<T>(
  connection: Connection,
  isShort: boolean,
  lastCommit: () => AsOf | undefined,
  knownAt: Micros | undefined,
  work: () => Promise<T>,
): Promise<Snapshot<T>> {
  const before = isShort && knownAt === undefined ? lastCommit() : undefined;
  if (before) {
    const found = await work();
    if (lastCommit() === before) return { found, as_of: before };
  }
  return connection.transaction(async () => ({
    found: await work(),
    as_of: await asOf(connection, knownAt),
  }));
}

/** The last commit in the snapshot, at or before a time. */
export async function asOf(connection: Connection, knownAt: Micros | undefined): Promise<AsOf> {
  const last = (condition: string) =>
    `select batch, epoch_us(recorded_at) from parts ${condition} order by recorded_at desc limit 1`;
  // Without a parameter it keeps its plan.
  const rows =
    knownAt === undefined
      ? await connection.rows(last(''))
      : await connection.rows(last('where recorded_at <= make_timestamp($1::bigint)'), knownAt);
  const [batch, micros] = rows[0] ?? [0n, 0n];
  return { batch: Number(batch), recorded_at: formatTimestamp(BigInt(micros as bigint)) };
}

/** A condition on the column `_part`: recorded by a time. Empty when there is no such limit. */
export async function knownCondition(connection: Connection, knownAt: Micros | undefined): Promise<string> {
  if (knownAt === undefined) return '';
  // Two statements: each skips what its bounds exclude. As one they took 130 ms for 30 million parts, not 35.
  const [[last] = []] = await connection.rows(
    'select coalesce(max(part), 0) from parts where recorded_at <= make_timestamp($1::bigint)',
    knownAt,
  );
  const later = await connection.askOnce(
    `select part from parts where part <= ${last} and recorded_at > make_timestamp(${knownAt})`,
  );
  return later.length > 0 ? `(_part <= ${last} and _part not in (${later.join(', ')}))` : `_part <= ${last}`;
}

/**
 * A condition on the column `_part`: recorded after a time. The bounds let the scan skip all that is older; between
 * them may lie a part that was recorded before.
 */
export async function touchedCondition(connection: Connection, after: Micros): Promise<string> {
  const rows = await connection.rows(
    'select min(part), max(part) from parts where recorded_at > make_timestamp($1::bigint)',
    after,
  );
  const [first, last] = rows[0]!;
  if (first === null) return 'false';
  return `_part between ${first} and ${last}
    and _part in (select part from parts where recorded_at > make_timestamp(${after}))`;
}
