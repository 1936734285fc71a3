/**
 * The ways that are compared, each on raw tables of its own in a scratch schema: what it sets up, and how a record is
 * written by it. Row-level triggers and the application's way are written as they usually are.
 */

import { defineStream } from '../engine/stream.ts';
import { planInstallation } from './installation.ts';
import type { KeptRollup, Strategy } from './kept-rollup.ts';
import { installation, refresh } from './migration.ts';
import { qualified, quote } from './names.ts';
import type { Session } from './session.ts';

/** A statement that is prepared once and run often. */
export interface PreparedSession extends Session {
  prepared(name: string, sql: string, values: readonly unknown[]): Promise<Record<string, string | null>[]>;
}

/** Id, subscription, type, time, price, used; as texts. */
export type MadeRecord = readonly string[];

export interface Way {
  /** For people. */
  name: string;
  setUp(session: Session, schema: string): Promise<void>;
  /** One record, within a transaction. */
  one(session: PreparedSession, schema: string, record: MadeRecord): Promise<void>;
  /** The first so many of the records in the table `made` of a schema, by one command; undefined: one by one. */
  bulk: ((session: Session, schema: string, made: string, records: number) => Promise<void>) | undefined;
  /** What is to be done after writing until the figures are right. */
  finish?: (session: Session, schema: string) => Promise<void>;
  /** Whether there are figures to compare and to ask. */
  keeps: boolean;
}

const stream = defineStream('usage', {
  time: 'usage_date',
  fields: {
    subscription_id: { type: 'integer', required: true },
    type: { type: 'text', required: true },
    usage_date: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
    used: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['subscription_id', 'type'], sum: ['price', 'used'] } },
});

/** The rollup `kept` over the raw table `raw` of a schema: the same columns, whatever keeps it. */
export function keptIn(session: Session, schema: string, strategy: Strategy): Promise<KeptRollup> {
  return planInstallation(session, {
    stream,
    rollup: 'daily',
    strategy,
    into: `${schema}.kept`,
    tables: [{ form: undefined, name: `${schema}.raw` }],
    columns: [],
  });
}

const raw = (schema: string): string => qualified({ schema, name: 'raw' });
const kept = (schema: string): string => qualified({ schema, name: 'kept' });

export const rawTable = (schema: string): string => `create table ${raw(schema)} (id bigint primary key,
  subscription_id bigint not null, type text not null, usage_date timestamptz not null, price numeric(18, 2) not null,
  used bigint not null)`;

const insertOne = (schema: string): string => `insert into ${raw(schema)} values ($1, $2, $3, $4, $5, $6)`;

const one: Way['one'] = async (session, schema, record) => {
  await session.prepared('compare_insert', insertOne(schema), record);
};
const bulk: NonNullable<Way['bulk']> = async (session, schema, made, records) => {
  await session.query(`insert into ${raw(schema)} select * from ${quote(made)}.made where id <= $1::bigint`, [
    records,
  ]);
};

const installed = (name: string, strategy: Strategy): Way => ({
  name,
  async setUp(session, schema) {
    const { statements } = installation(await keptIn(session, schema, strategy));
    await session.query('begin');
    for (const statement of statements) await session.query(statement);
    await session.query('commit');
  },
  one,
  bulk,
  keeps: true,
});

const table = (
  schema: string,
): string => `create table ${kept(schema)} (subscription_id bigint, type text, day date,
  count bigint not null, sum_price numeric not null, sum_used numeric not null, primary key (subscription_id, type, day))`;
const dayOf = (time: string): string => `(${time} at time zone 'UTC')::date`;

const rowTriggers: Way = {
  name: 'row-level triggers',
  async setUp(session, schema) {
    const add = quote(schema);
    await session.query(table(schema));
    await session.query(`create function ${add}.keep() returns trigger language plpgsql as $$
      begin
        if tg_op <> 'INSERT' then
          update ${kept(schema)} as k set count = k.count - 1, sum_price = k.sum_price - old.price, sum_used = k.sum_used - old.used
          where k.subscription_id = old.subscription_id and k.type = old.type and k.day = ${dayOf('old.usage_date')};
        end if;
        if tg_op <> 'DELETE' then
          insert into ${kept(schema)} as k values (new.subscription_id, new.type, ${dayOf('new.usage_date')}, 1, new.price, new.used)
          on conflict (subscription_id, type, day) do update set
            count = k.count + 1, sum_price = k.sum_price + excluded.sum_price, sum_used = k.sum_used + excluded.sum_used;
        end if;
        return null;
      end $$`);
    await session.query(`create trigger keep after insert or update or delete on ${raw(schema)}
      for each row execute function ${add}.keep()`);
  },
  one,
  bulk,
  keeps: true,
};

/** The application reads the row of the aggregate, adds, and writes it back: four round trips and a commit. */
const application: Way = {
  name: 'application: read, add, write',
  setUp: async (session, schema) => void (await session.query(table(schema))),
  async one(session, schema, record) {
    await one(session, schema, record);
    await addInApplication(session, schema, record);
  },
  bulk: undefined,
  keeps: true,
};

async function addInApplication(session: PreparedSession, schema: string, record: MadeRecord): Promise<void> {
  const [, subscription, type, time, price, used] = record as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const key = [subscription, type, time.slice(0, 10)];
  const place = 'subscription_id = $1 and type = $2 and day = $3';
  const [row] = await session.prepared(
    'compare_read',
    `select count, sum_price, sum_used from ${kept(schema)} where ${place} for update`,
    key,
  );
  const cents = (text: string): bigint => BigInt(text.replace('.', ''));
  const sum = (row ? cents(row.sum_price!) : 0n) + cents(price);
  const figures = [
    BigInt(row?.count ?? 0) + 1n,
    `${sum / 100n}.${String(sum % 100n).padStart(2, '0')}`,
    BigInt(row?.sum_used ?? 0) + BigInt(used),
  ].map(String);
  const write = row
    ? `update ${kept(schema)} set count = $4, sum_price = $5, sum_used = $6 where ${place}`
    : `insert into ${kept(schema)} values ($1, $2, $3, $4, $5, $6)`;
  await session.prepared(row ? 'compare_update' : 'compare_make', write, [...key, ...figures]);
}

export const ways: readonly Way[] = [
  { name: 'nothing kept', setUp: async () => undefined, one, bulk, keeps: false },
  installed('statement-level triggers', 'triggers'),
  rowTriggers,
  application,
  installed('view', 'view'),
  {
    ...installed('materialized view, one refresh', 'materialized'),
    finish: async (session, schema) =>
      void (await session.query(refresh({ relation: { schema, name: 'kept' } }))),
  },
];
