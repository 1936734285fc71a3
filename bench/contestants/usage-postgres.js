/**
 * Three ways to have the aggregate of usage in PostgreSQL, all on the same server, every commit on disk:
 *
 *     application   the application reads the row of the aggregate, adds, and writes it back, record by record, in one
 *                   transaction with the record (rows are locked in the order of their keys, so nothing deadlocks)
 *     triggers      row-level triggers do the same inside the database, by an upsert
 *     view          nothing is kept: a view groups the records whenever it is asked; an index on the subscription
 *
 * Many records at once are one statement with arrays, but for the application, whose way it is to go one by one; all
 * in one transaction.
 */
import { centsOf, decimalOf } from '../made-usage.js';
import { startPostgres } from './postgres-server.js';

const CLIENTS = 16;

const RECORDS = `create table usage (id text primary key, type text not null, subscription_id integer not null,
  usage_date timestamptz not null, price numeric(18, 2) not null, used bigint not null)`;
const DAILY = `create table daily (subscription_id integer, type text, day date, price numeric(18, 2) not null,
  used bigint not null, records bigint not null, primary key (subscription_id, type, day))`;
const dayOf = (row) => `(${row}.usage_date at time zone 'UTC')::date`;
const TRIGGER = `
  create function add_usage(r usage, sign integer) returns void language sql as $$
    insert into daily values (r.subscription_id, r.type, ${dayOf('r')}, sign * r.price, sign * r.used, sign)
    on conflict (subscription_id, type, day) do update set price = daily.price + excluded.price,
      used = daily.used + excluded.used, records = daily.records + excluded.records
  $$;
  create function keep_daily() returns trigger language plpgsql as $$
  begin
    if tg_op <> 'INSERT' then perform add_usage(old, -1); end if;
    if tg_op <> 'DELETE' then perform add_usage(new, 1); end if;
    return null;
  end $$;
  create trigger keep_daily after insert or update or delete on usage for each row execute function keep_daily()`;
const GROUPING = `select subscription_id, type, ${dayOf('usage')} as day, sum(price)::numeric(18, 2) as price,
  sum(used)::bigint as used, count(*) as records from usage group by 1, 2, 3`;

const INSERT = `insert into usage select * from unnest($1::text[], $2::text[], $3::integer[], $4::timestamptz[],
  $5::numeric[], $6::bigint[])`;
const UPDATE = `update usage set type = given.type, subscription_id = given.subscription_id,
  usage_date = given.usage_date, price = given.price, used = given.used
  from unnest($1::text[], $2::text[], $3::integer[], $4::timestamptz[], $5::numeric[], $6::bigint[])
    as given (id, type, subscription_id, usage_date, price, used)
  where usage.id = given.id`;
const REMOVE = 'delete from usage where id = any($1)';

const arrays = (records) =>
  ['id', 'type', 'subscription_id', 'usage_date', 'price', 'used'].map((field) =>
    records.map((record) => record[field]),
  );

const openWay = (extra, write) => async (dir) => {
  const server = await startPostgres(dir);
  const clients = [];
  for (let n = 0; n < CLIENTS; n++) clients.push(await server.connect());
  const [client] = clients;
  for (const statement of [RECORDS, ...extra]) await client.query(statement);
  const idle = [...clients];
  /** Callers are never more than there are clients. */
  const onClient = async (work) => {
    const own = idle.pop();
    try {
      return await work(own);
    } finally {
      idle.push(own);
    }
  };
  const query = async (name, text, values) => (await client.query({ name, text, values })).rows;
  return {
    create: (records) => onClient((own) => write.create(own, records)),
    correct: (records) => onClient((own) => write.correct(own, records)),
    remove: (records) => onClient((own) => write.remove(own, records)),
    /** The fastest way to be where the measuring starts: it is not measured. */
    load: (records) => onClient((own) => load(own, records)),
    loaded: () =>
      write.kept ? client.query(`begin; truncate daily; insert into daily ${GROUPING}; commit`) : undefined,
    sums: () =>
      query(
        'sums',
        `select subscription_id, type, sum(price)::text as price, sum(used)::text as used, sum(records)::text as records
         from daily group by subscription_id, type`,
      ),
    exceeding: async (cents) =>
      (
        await query(
          'exceeding',
          `select subscription_id, type, sum(price)::text as price from daily group by subscription_id, type
           having sum(price) >= $1 order by sum(price) desc limit 100`,
          [decimalOf(cents)],
        )
      ).map(({ price }) => price),
    metrics: (subscription) =>
      query(
        'metrics',
        `select type, sum(price)::text as price, sum(used)::text as used, sum(records)::text as records
         from daily where subscription_id = $1 group by type having sum(records) > 0`,
        [subscription],
      ),
    /** Before questions: fresh statistics and visibility map. */
    async settle() {
      await client.query('vacuum analyze usage');
      if (write.kept) await client.query('vacuum analyze daily');
    },
    engine: (await client.query('show server_version')).rows[0].server_version,
    async close() {
      for (const each of clients) await each.end();
      await server.stop();
    },
  };
};

async function load(client, records) {
  await client.query('begin');
  await client.query('alter table usage disable trigger user');
  await client.query(INSERT, arrays(records));
  await client.query('alter table usage enable trigger user');
  await client.query('commit');
}

const statement = async (client, name, text, values, expected) => {
  const { rowCount } = await client.query({ name, text, values });
  if (rowCount !== expected) throw new Error(`${name} changed ${rowCount} rows; expected ${expected}`);
};
const inDatabase = {
  create: (client, records) => statement(client, 'insert', INSERT, arrays(records), records.length),
  correct: (client, records) => statement(client, 'update', UPDATE, arrays(records), records.length),
  remove: (client, records) =>
    statement(client, 'remove', REMOVE, [records.map(({ id }) => id)], records.length),
};

export const openTriggers = openWay([DAILY, TRIGGER], { ...inDatabase, kept: true });

export const openView = openWay(
  ['create index on usage (subscription_id, type)', `create view daily as ${GROUPING}`],
  { ...inDatabase, kept: false },
);

// --- the application's way -------------------------------------------------------------------------------------

const inTransaction = (one) => async (client, records) => {
  await client.query('begin');
  try {
    for (const record of records) await one(client, record);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
};

const day = ({ usage_date }) => usage_date.slice(0, 10);

/** Reads rows of the aggregate, adds in the application, writes them back. */
async function change(client, changes) {
  const sorted = changes.toSorted((a, b) => (keyOf(a.record) < keyOf(b.record) ? -1 : 1));
  for (const { record, sign } of sorted) {
    const key = [record.subscription_id, record.type, day(record)];
    const { rows } = await client.query({
      name: 'read',
      text: `select price::text, used::text, records::text from daily
        where subscription_id = $1 and type = $2 and day = $3 for update`,
      values: key,
    });
    const before = rows[0] ?? { price: '0.00', used: '0', records: '0' };
    const cents = centsOf(before.price) + sign * centsOf(record.price);
    const after = [
      decimalOf(cents),
      Number(before.used) + sign * Number(record.used),
      Number(before.records) + sign,
    ];
    if (rows.length === 1) {
      const text =
        'update daily set price = $4, used = $5, records = $6 where subscription_id = $1 and type = $2 and day = $3';
      await client.query({ name: 'write', text, values: [...key, ...after] });
      continue;
    }
    // Another one may make the row in the same moment: then it is read again.
    const text = 'insert into daily values ($1, $2, $3, $4, $5, $6) on conflict do nothing';
    const { rowCount } = await client.query({ name: 'make', text, values: [...key, ...after] });
    if (rowCount === 0) await change(client, [{ record, sign }]);
  }
}

const keyOf = (record) => `${record.subscription_id} ${record.type} ${day(record)}`;

async function readOld(client, { id }) {
  const { rows } = await client.query({
    name: 'old',
    text: `select type, subscription_id, to_char(usage_date at time zone 'UTC', 'YYYY-MM-DD') as usage_date,
      price::text, used::text from usage where id = $1 for update`,
    values: [id],
  });
  if (rows.length !== 1) throw new Error(`${id} is not there`);
  return rows[0];
}

export const openApplication = openWay([DAILY], {
  kept: true,
  create: inTransaction(async (client, record) => {
    await inDatabase.create(client, [record]);
    await change(client, [{ record, sign: 1 }]);
  }),
  correct: inTransaction(async (client, record) => {
    const old = await readOld(client, record);
    await inDatabase.correct(client, [record]);
    await change(client, [
      { record: old, sign: -1 },
      { record, sign: 1 },
    ]);
  }),
  remove: inTransaction(async (client, record) => {
    const old = await readOld(client, record);
    await inDatabase.remove(client, [record]);
    await change(client, [{ record: old, sign: -1 }]);
  }),
});
