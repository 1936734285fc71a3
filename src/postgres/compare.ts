/**
 * What each way of having the aggregate costs by record, on the user's own server: in a schema of its own, which is
 * dropped at the end. After each cell the figures are compared with a recount: a way that is wrong is no way.
 *
 * A cell works until its records are written or its time is over; the cost is that of what was written.
 */
import { randomBytes } from 'node:crypto';
import { TallybookError } from '../engine/errors.ts';
import { keptIn, type MadeRecord, type PreparedSession, rawTable, type Way, ways } from './compare-ways.ts';
import { qualified, quote } from './names.ts';
import type { Session } from './session.ts';
import { verify } from './verify.ts';

export interface ComparePlan {
  sizes: readonly number[];
  /** Of the records, which lie on one day: so there are twice as many keys, one for each type. */
  subscriptions: number;
  /** Of a cell, at most. */
  seconds: number;
}

export interface Cell {
  way: string;
  records: number;
  /** Each record in a transaction of its own, or all in one command. */
  mode: 'single' | 'bulk';
  /** How many were written before the time was over. */
  written: number;
  microseconds_per_record: number;
  /** Those who reached a limit, asked of the figures; the median of several. Null where none are kept. */
  question_milliseconds: number | null;
}

/** Two schemas: one for the records, one that each cell makes anew. */
export const newScratchSchema = (): string => `tallybook_compare_${randomBytes(4).toString('hex')}`;
const cellSchema = (schema: string): string => `${schema}_cell`;

export async function dropScratchSchemas(session: Session, schema: string): Promise<void> {
  for (const name of [cellSchema(schema), schema])
    await session.query(`drop schema if exists ${quote(name)} cascade`);
}

/** @param session not within a transaction */
export async function compare(
  session: PreparedSession,
  schema: string,
  { sizes, subscriptions, seconds }: ComparePlan,
  onCell: (cell: Cell) => void,
  signal: AbortSignal,
): Promise<Cell[]> {
  const made = `${quote(schema)}.made`;
  await session.query(`create schema ${quote(schema)}`);
  await session.query(
    `create table ${made} as select n as id, 1 + (n * 7919) % $1::bigint as subscription_id,
       case n / $1::bigint % 2 when 0 then 'data' else 'voice' end as type,
       timestamptz '2026-10-05 00:00:00+00' + n % 86400 * interval '1 second' as usage_date,
       (n * 31 % 500 * 0.01)::numeric(18, 2) as price, n * 17 % 100000 as used
     from generate_series(1, $2::bigint) n`,
    [subscriptions, Math.max(...sizes)],
  );
  await session.query(`analyze ${made}`);
  const cells: Cell[] = [];
  for (const records of sizes) {
    const rows = await session.query(
      `select id::text, subscription_id::text, type, to_char(usage_date at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') as time,
         price::text, used::text from ${made} where id <= $1::bigint order by id`,
      [records],
    );
    const texts = rows.map((row) => Object.values(row) as string[]);
    for (const way of ways) {
      for (const mode of ['single', 'bulk'] as const) {
        signal.throwIfAborted();
        const cell = await measure(session, schema, way, mode, texts, { seconds, signal });
        cells.push(cell);
        onCell(cell);
      }
    }
  }
  return cells;
}

async function measure(
  session: PreparedSession,
  made: string,
  way: Way,
  mode: 'single' | 'bulk',
  records: readonly MadeRecord[],
  { seconds, signal }: { seconds: number; signal: AbortSignal },
): Promise<Cell> {
  const schema = cellSchema(made);
  await session.query(`create schema ${quote(schema)}`);
  await session.query(rawTable(schema));
  await way.setUp(session, schema);
  const started = performance.now();
  const isOver = (): boolean => {
    signal.throwIfAborted();
    return performance.now() - started > seconds * 1000;
  };
  let written = records.length;
  if (mode === 'bulk' && way.bulk) await way.bulk(session, schema, made, written);
  else written = await oneByOne(session, schema, way, mode, records, isOver);
  await way.finish?.(session, schema);
  const spent = performance.now() - started;
  if (way.keeps) await checkRight(session, schema, way);
  const question = way.keeps ? await askOften(session, schema) : null;
  await session.query(`drop schema ${quote(schema)} cascade`);
  return {
    way: way.name,
    records: records.length,
    mode,
    written,
    microseconds_per_record: Math.round((spent * 10_000) / written) / 10,
    question_milliseconds: question,
  };
}

/** Each in a transaction, or all in one. Returns how many were written. */
async function oneByOne(
  session: PreparedSession,
  schema: string,
  way: Way,
  mode: 'single' | 'bulk',
  records: readonly MadeRecord[],
  isOver: () => boolean,
): Promise<number> {
  let written = 0;
  if (mode === 'bulk') await session.query('begin');
  for (const record of records) {
    if (mode === 'single') await session.query('begin');
    await way.one(session, schema, record);
    if (mode === 'single') await session.query('commit');
    written += 1;
    if (isOver()) break;
  }
  if (mode === 'bulk') await session.query('commit');
  return written;
}

async function checkRight(session: Session, schema: string, way: Way): Promise<void> {
  const { differences } = await verify(session, await keptIn(session, schema, 'view'));
  if (differences > 0)
    throw new TallybookError('internal', `${way.name}: ${differences} keys differ from a recount`);
}

async function askOften(session: Session, schema: string): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < 5; n++) {
    const started = performance.now();
    await session.query(
      `select subscription_id, type, sum(sum_price) from ${qualified({ schema, name: 'kept' })}
       group by subscription_id, type having sum(sum_price) >= 10 order by 3 desc limit 100`,
    );
    times.push(performance.now() - started);
  }
  return Math.round(times.sort((a, b) => a - b)[2]! * 100) / 100;
}
