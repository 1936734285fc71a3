/** Housekeeping: retention, compaction, verification and backup. None of it changes an answer. */

import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Micros } from '../../engine/calendar.ts';
import { StreamChecks } from '../../engine/checks.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Check } from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { appendRollup, bucketDay, isFine, mergedRollup, rollupDifferences } from './append.ts';
import { bucketExpression } from './buckets.ts';
import type { Connection } from './connection.ts';
import { duplicatesOf, entriesOf, literal, quote, rollupOf } from './names.ts';
import type { ReadGate } from './read-gate.ts';
import { seqsPerRow } from './stage.ts';
import { standingEntries } from './standing.ts';

/**
 * Drops the records before a time. Their share of each rollup moves to rows marked `_dropped`, so that the rest
 * still equals the ledger and can be proved. The caller holds the writer's lock and no file is being published.
 */
export async function dropRecords(
  connection: Connection,
  stream: Stream,
  before: Micros,
  gate: ReadGate,
): Promise<number> {
  const old = `${quote(stream.time!.name)}::timestamp < make_timestamp(${before})`;
  const entries = entriesOf(stream);
  return connection.transaction(
    async () => {
      for (const rollup of stream.rollups) {
        await connection.execute(appendRollup(stream, rollup, entries, `where e.${old}`, 'true'));
        const takenOut = `(select * replace (-_sign as _sign) from ${entries} where ${old})`;
        await connection.execute(appendRollup(stream, rollup, takenOut, '', 'false'));
      }
      await connection.execute(
        `delete from ${duplicatesOf(stream)} where _seq in (select _seq from ${entries} where ${old})`,
      );
      const rows = await connection.askOnce(`select count(*)::double from ${entries} where ${old}`);
      // If these were the last, a start must know which seqs were given.
      const [[last] = []] = await connection.askOnce(`select max(_seq)::varchar from ${entries}`);
      if (typeof last === 'string') await setBook(connection, lastSeqKey(stream), last);
      await connection.execute(`delete from ${entries} where ${old}`);
      await setBook(connection, droppedBeforeKey(stream), String(before));
      // Days of which records went have more rows now, and no entries that would tell.
      for (const rollup of stream.rollups)
        await connection.askOnce('delete from book where key = $1::varchar', [
          compactedDaysKey(stream, rollup),
        ]);
      return rows[0]![0] as number;
    },
    (commit) => gate.commit(commit),
  );
}

/** In the book: up to when records were dropped, in microseconds. */
export const droppedBeforeKey = ({ name }: Stream): string => `dropped_before ${name}`;

/** In the book: the last seq before records were dropped. */
export const lastSeqKey = ({ name }: Stream): string => `last_seq ${name}`;

export async function setBook(connection: Connection, key: string, value: string): Promise<void> {
  await connection.askOnce('delete from book where key = $1::varchar', [key]);
  await connection.askOnce('insert into book values ($1::varchar, $2::varchar)', [key, value]);
}

/** A rollup is due before the hour when it has grown by a quarter, and at least by so many rows, or records. */
export const grownAtLeast = 200_000;
/** One that is compacted a day at a time, by so many records. */
export const grownDaysRecords = 1_000_000;

/**
 * Whether a rollup has grown by so much since its rows were put together that it should not wait for the hour: by a
 * quarter. A rollup of hours or minutes is done a day at a time, so there the records count.
 * @param nextSeq of the stream
 */
export async function hasGrown(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  nextSeq: bigint,
): Promise<boolean> {
  const key = (isFine(rollup) ? compactedDaysKey : compactedKey)(stream, rollup);
  const [[value] = []] = await connection.askOnce('select value from book where key = $1::varchar', [key]);
  const kept = Number(value ?? 0);
  if (isFine(rollup)) return (Number(nextSeq) - kept) / Number(seqsPerRow) > grownDaysRecords;
  const [[rows] = []] = await connection.askOnce(`select count(*)::double from ${rollupOf(stream, rollup)}`);
  return (rows as number) - kept > Math.max(grownAtLeast, kept / 4);
}

/**
 * Puts the rows of a rollup together, if it has grown by a twentieth since the last time. A plain transaction beside the
 * writer: it replaces the rows it sees, and what is appended meanwhile stays as it is.
 */
export async function compactRollup(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  gate: ReadGate,
): Promise<void> {
  const table = rollupOf(stream, rollup);
  const key = compactedKey(stream, rollup);
  const [[rows, kept] = []] = await connection.askOnce(
    `select (select count(*) from ${table})::double, (select value from book where key = $1::varchar)::double`,
    [key],
  );
  // A rollup of 50 million rows takes minutes; it is not worth it for the few that an hour brings.
  if ((rows as number) <= (((kept as number | null) ?? 0) * 21) / 20) return;
  await connection.transaction(
    async () => {
      await mergeRows(connection, stream, rollup, '');
      const [[left] = []] = await connection.askOnce(`select count(*) from ${table}`);
      await setBook(connection, key, String(left));
    },
    (commit) => gate.commit(commit),
  );
}

async function mergeRows(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  where: string,
): Promise<void> {
  const table = rollupOf(stream, rollup);
  await connection.execute(`create or replace temp table merged as ${mergedRollup(stream, rollup, where)}`);
  await connection.execute(`delete from ${table} ${where}`);
  await connection.execute(`insert into ${table} select * from merged`);
  await connection.execute('drop table merged');
}

/** Rows that are put together at once: a day of many, or many days of few. */
const rowsAtOnce = 1_000_000;

/** In the book: the rows of a rollup after they were put together last. */
const compactedKey = (stream: Stream, rollup: Rollup) => `${compactedPrefix}${stream.name} ${rollup.name}`;
export const compactedPrefix = 'compacted ';

/** In the book: the seq before which the days of all entries were done. */
const compactedDaysKey = (stream: Stream, rollup: Rollup) => `compacted_days ${stream.name} ${rollup.name}`;

/**
 * Puts the rows of a rollup of hours or minutes together, only of those days of which entries have come since it was done
 * last: to write 70 million rows anew for those of today would take minutes.
 * @param before all entries with lower seqs are committed; undefined where that is not known, and days are done again
 */
export async function compactDays(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  before: bigint | undefined,
  gate: ReadGate,
): Promise<void> {
  const key = compactedDaysKey(stream, rollup);
  const [book] = await connection.askOnce('select value from book where key = $1::varchar', [key]);
  const bucket = bucketExpression(`e.${quote(stream.time!.name)}`, rollup.every, rollup.tz);
  const touched = `where ${bucketDay} in (select distinct cast(${bucket} as date) from ${entriesOf(stream)} e where e._seq >= ${book?.[0] ?? 0})`;
  const days = await connection.askOnce(
    `select cast(${bucketDay} as varchar), count(*)::double from ${rollupOf(stream, rollup)} ${book ? touched : ''} group by 1 order by 1`,
  );
  let rows = 0;
  let chosen: string[] = [];
  for (const [index, [day, count]] of days.entries()) {
    chosen.push(`date ${literal(day as string)}`);
    rows += count as number;
    if (rows < rowsAtOnce && index < days.length - 1) continue;
    const where = `where ${bucketDay} in (${chosen.join(', ')})`;
    await connection.transaction(
      () => mergeRows(connection, stream, rollup, where),
      (commit) => gate.commit(commit),
    );
    [rows, chosen] = [0, []];
  }
  if (before !== undefined) await setBook(connection, key, String(before));
}

export async function verifyStream(
  connection: Connection,
  stream: Stream,
  dropped: boolean,
): Promise<Check[]> {
  const entries = entriesOf(stream);
  const number = async (sql: string): Promise<number> => Number((await connection.askOnce(sql))[0]![0] ?? 0);
  const checks = new StreamChecks(stream);

  checks.add(
    'an id has at most one standing record',
    await number(
      `select count(*)::double from (select _id from ${standingEntries(stream, '')} group by _hash, _id having count(*) > 1)`,
    ),
    'ids with more than one',
  );
  checks.add(
    'every entry of sign -1 takes back one record of the same id',
    (await number(
      `select count(*)::double from ${entries} r left join ${entries} e on e._seq = r._reverses and e._sign = 1 and e._id = r._id where r._sign = -1 and e._seq is null`,
    )) +
      (await number(
        `select count(*)::double from (select _reverses from ${entries} where _sign = -1 group by _reverses having count(*) > 1)`,
      )),
    'that do not',
  );
  checks.add(
    'seqs are unique',
    await number(`select (count(*) - count(distinct _seq))::double from ${entries}`),
    'used twice',
  );
  checks.add(
    'hashes match ids',
    await number(`select count(*)::double from ${entries} where _hash <> hash(_id)`),
    'that do not',
  );
  for (const rollup of stream.rollups) {
    checks.add(
      `rollup ${rollup.name} equals the ledger`,
      await number(rollupDifferences(stream, rollup)),
      'keys that differ',
    );
  }
  if (!dropped && !stream.builtIn) {
    const [added, taken, repeated] = (
      await connection.askOnce(
        `select coalesce(sum(accepted + corrected), 0)::double, coalesce(sum(corrected + retracted), 0)::double, coalesce(sum(duplicates), 0)::double
       from parts where stream = $1::varchar`,
        [stream.name],
      )
    )[0] as [number, number, number];
    const difference = async (sql: string, expected: number) => Math.abs((await number(sql)) - expected);
    checks.add(
      'receipts add up to the entries',
      (await difference(`select count(*)::double from ${entries} where _sign = 1`, added)) +
        (await difference(`select count(*)::double from ${entries} where _sign = -1`, taken)) +
        (await difference(`select count(*)::double from ${duplicatesOf(stream)}`, repeated)),
      'more or fewer',
    );
  }
  return checks.checks;
}

/** What is in a directory, which is made if it is not there, for its owner alone: a backup holds the secrets of webhooks. */
async function filesOfNew(directory: string): Promise<string[]> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await readdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') throw error;
    throw new TallybookError(
      'directory_unusable',
      `${directory.replaceAll('\0', '\\0')} cannot be made or read (${code}); name a new directory for the backup`,
      { cause: error },
    );
  }
}

/** Copies the database into an empty directory, as of one moment, while it is used. */
export async function backUp(
  connection: Connection,
  database: string,
  directory: string,
  gate: ReadGate,
): Promise<void> {
  const found = await filesOfNew(directory);
  if (found.length > 0) {
    throw new TallybookError(
      'directory_unusable',
      `${directory} is not empty; name a new directory for the backup`,
    );
  }
  const unfinished = join(directory, 'unfinished.duckdb');
  const copy = async () => {
    await rm(unfinished, { force: true });
    await connection.execute(`attach ${literal(unfinished)} as backup`);
    try {
      await connection.execute(`copy from database ${quote(database)} to backup`);
      await connection.execute('checkpoint backup');
    } finally {
      await connection.execute('detach backup');
    }
  };
  try {
    await gate.read(copy);
    await chmod(unfinished, 0o600);
    await rename(unfinished, join(directory, `${database}.duckdb`));
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
