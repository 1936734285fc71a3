/** What triggers of statements keep right: the usual faults of hand-written ones, and what each kind of table needs. */
import { describe, expect, test } from 'vitest';
import { defineStream } from '../../src/engine/stream.ts';
import { findInstalled } from '../../src/postgres/installation.ts';
import { installation } from '../../src/postgres/migration.ts';
import { verify } from '../../src/postgres/verify.ts';
import { postgresBinaries } from '../cli/postgres.ts';
import { type Database, declaration, postgresForTests, rawColumns } from './database.ts';

const raw = `create table raw (id integer primary key, ${rawColumns})`;
const row = (id: number, rest = `7, 'data', '2026-10-05 12:00Z', 1.10, 5`): string =>
  `insert into raw (id, subscription_id, type, usage_date, price, used) values (${id}, ${rest})`;

describe.skipIf(postgresBinaries === undefined)('triggers', () => {
  const postgres = postgresForTests();

  async function installed(...statements: string[]): Promise<Database> {
    const database = await postgres.database(raw, ...statements);
    await database.install();
    return database;
  }
  const kept = (database: Database): Promise<string[]> =>
    database
      .query('select * from usage_daily order by subscription_id, type, day')
      .then((rows) => rows.map((one) => Object.values(one).join(' ')));

  test('a changed date, subscription or type leaves the old bucket right', async () => {
    const database = await installed(row(1), row(2));
    expect(await kept(database)).toEqual(['7 data 2026-10-05 2 2.2000000000 10']);
    await database.query(`update raw set usage_date = '2026-10-06 12:00Z' where id = 1`);
    await database.query(`update raw set subscription_id = 8 where id = 1`);
    await database.query(`update raw set type = 'voice', price = 2 where id = 1`);
    expect(await kept(database)).toEqual([
      '7 data 2026-10-05 1 1.1000000000 5',
      '8 voice 2026-10-06 1 2.0000000000 5',
    ]);
    await database.query('delete from raw where id = 2');
    expect(await kept(database)).toEqual(['8 voice 2026-10-06 1 2.0000000000 5']);
  });

  test('decimals stay decimals on update, with every digit', async () => {
    const database = await installed(
      row(1, `7, 'data', '2026-10-05', 12345678901234567890.0123456789, 9223372036854775807`),
    );
    await database.query('update raw set price = price + 0.0000000001');
    await database.query(row(2, `7, 'data', '2026-10-05', 0.1, 9223372036854775807`));
    await database.query('update raw set price = 0.2 where id = 2');
    expect(await kept(database)).toEqual([
      '7 data 2026-10-05 2 12345678901234567890.2123456790 18446744073709551614',
    ]);
  });

  test('two first records of a key at the same time both count', async () => {
    const database = await installed();
    const other = await postgres.again(database.url);
    for (const session of [database, other]) await session.query('begin');
    await database.query(row(1));
    await other.query(row(2));
    await database.query('set constraints all immediate');
    // The other one has to wait for the row that is not committed yet.
    const waiting = other.query('commit');
    await database.query('commit');
    await waiting;
    expect(await kept(database)).toEqual(['7 data 2026-10-05 2 2.2000000000 10']);
  });

  test('nobody waits for a long transaction that has written to the same key', async () => {
    const database = await installed();
    const other = await postgres.again(database.url);
    await database.query('begin');
    await database.query(row(1));
    await other.query(`set statement_timeout = '5s'`);
    await other.query(row(2));
    expect(await kept(other)).toEqual(['7 data 2026-10-05 1 1.1000000000 5']);
    await database.query('commit');
    expect(await kept(other)).toEqual(['7 data 2026-10-05 2 2.2000000000 10']);
  });

  test('within a transaction the rollup follows at its end, or when constraints are made immediate', async () => {
    const database = await installed();
    await database.query('begin');
    await database.query(row(1));
    expect(await kept(database)).toEqual([]);
    await database.query('set constraints usage_daily_apply immediate');
    expect(await kept(database)).toEqual(['7 data 2026-10-05 1 1.1000000000 5']);
    await database.query(row(2));
    expect(await kept(database)).toEqual(['7 data 2026-10-05 2 2.2000000000 10']);
    await database.query('rollback');
    expect(await kept(database)).toEqual([]);
  });

  test('an update of other columns touches nothing', async () => {
    const database = await installed(row(1));
    const before = await database.query('select xmin from usage_daily');
    await database.query(`update raw set note = 'seen'`);
    expect(await database.query('select xmin from usage_daily')).toEqual(before);
  });

  test('rows that a cascade deletes or changes are taken out', async () => {
    const database = await postgres.database(
      'create table accounts (id integer primary key)',
      'insert into accounts values (1), (2), (3)',
      raw,
      `alter table raw add foreign key (account) references accounts on delete cascade on update cascade`,
      `insert into raw (id, subscription_id, type, usage_date, price, used, account)
       select n, n % 5, 'data', '2026-10-05', 1, 1, 1 + n % 3 from generate_series(1, 90) n`,
    );
    const rollup = await database.install();
    await database.query('delete from accounts where id < 3');
    expect(await database.query('select sum(count) as count from usage_daily')).toEqual([{ count: '30' }]);
    await database.query('update accounts set id = 9');
    await database.expectRight(rollup);
  });

  test('users who may write to the raw table need no rights on the rollup', async () => {
    const database = await installed();
    await database.query('create role writer');
    await database.query('grant insert, select, delete, truncate on raw to writer');
    await database.query('set role writer');
    await database.query(row(1));
    await database.query(row(2));
    await database.query('truncate raw');
    await expect(database.query('delete from usage_daily')).rejects.toThrow('permission denied');
    await database.query('reset role');
    expect(await kept(database)).toEqual([]);
  });

  test('rows count alike whatever the settings of the session that writes or deletes them', async () => {
    const database = await installed();
    for (const setting of [
      `timezone = 'Asia/Tokyo'`,
      `datestyle = 'German'`,
      `search_path = ''`,
      `lc_numeric = 'C'`,
    ])
      await database.query(`set ${setting}`);
    await database.query(row(1, `7, 'data', '2026-10-24 22:30Z', 1, 1`).replace('raw', 'public.raw'));
    await database.query('reset all');
    // Madrid is two hours ahead of UTC.
    expect(await kept(database)).toEqual(['7 data 2026-10-25 1 1.0000000000 1']);
    await database.query('delete from raw');
    expect(await kept(database)).toEqual([]);
  });

  test('truncate at an isolation level that may not see all rows is refused', async () => {
    const database = await installed(row(1));
    await database.query('begin isolation level repeatable read');
    await expect(database.query('truncate raw')).rejects.toThrow('needs the isolation level read committed');
    await database.query('rollback');
    await database.query('truncate raw');
    expect(await kept(database)).toEqual([]);
  });

  test('a publication of all tables does not stop those who write', async () => {
    const database = await installed();
    await database.query('create publication everything for all tables');
    await database.query('alter table raw replica identity full');
    await database.query(row(1));
    await database.query(row(2));
    await database.query('delete from raw');
    expect(await kept(database)).toEqual([]);
  });

  describe('of partitioned tables', () => {
    const partitioned = [
      `create table raw (id integer, ${rawColumns}) partition by range (id)`,
      'create table low partition of raw for values from (0) to (100)',
      'create table high partition of raw for values from (100) to (200)',
    ];

    test('rows are counted whether they come through the table or into a partition, or move', async () => {
      const database = await postgres.database(...partitioned);
      const rollup = await database.install();
      await database.query(row(1));
      await database.query(row(2).replace('into raw', 'into low'));
      expect(await kept(database)).toEqual(['7 data 2026-10-05 2 2.2000000000 10']);
      await database.query('update raw set id = id + 100, price = 3 where id = 1');
      expect(await kept(database)).toEqual(['7 data 2026-10-05 2 4.1000000000 10']);
      await database.query('truncate low');
      expect(await kept(database)).toEqual(['7 data 2026-10-05 1 3.0000000000 5']);
      await database.query('truncate raw');
      await database.expectRight(rollup);
    });

    test('merge is refused, of which PostgreSQL hands over wrong rows; into a partition it counts', async () => {
      const database = await postgres.database(...partitioned, row(2));
      const rollup = await database.install();
      const merge = (into: string): string => `merge into ${into} as kept
        using (values (1, 1.0), (2, 2.0)) as given (id, price) on kept.id = given.id
        when matched then update set price = given.price
        when not matched then insert (id, price) values (given.id, given.price)`;
      await expect(database.query(merge('raw'))).rejects.toThrow(
        'merge into the partitioned table public.raw cannot be counted',
      );
      await database.expectRight(rollup);
      await database.query(merge('low'));
      await database.expectRight(rollup);
    });

    test('a partition that is made later is told of, and gets its triggers from installing again', async () => {
      const database = await postgres.database(...partitioned);
      const rollup = await database.install();
      await database.query('create table later partition of raw for values from (200) to (300)');
      await database.query(row(201));
      expect(await kept(database)).toEqual(['7 data 2026-10-05 1 1.1000000000 5']);
      await expect(database.query('truncate raw')).rejects.toThrow(
        'later has no triggers that keep public.usage_daily',
      );
      const { missing_triggers } = await verify(database, await database.plan());
      expect(missing_triggers).toEqual(
        ['insert', 'update', 'delete', 'truncate'].map(
          (operation) => `usage_daily_${operation} on public.later`,
        ),
      );
      await database.query(row(202).replace('into raw', 'into later'));
      expect(await verify(database, rollup)).toMatchObject({ differences: 1 });
      const again = await database.install();
      await database.expectRight(again);
      await database.query('truncate raw');
      await database.expectRight(again);
    });

    test('what goes with a dropped partition stays in the rollup, also when later days are counted anew', async () => {
      const database = await postgres.database(...partitioned);
      await database.install();
      await database.query(row(1, `7, 'data', '2026-09-30 12:00Z', 1, 1`));
      await database.query(row(101));
      await database.query('drop table low');
      const rollup = await database.plan();
      expect(await verify(database, rollup)).toMatchObject({ differences: 1 });
      expect(await verify(database, rollup, '2026-10-01')).toMatchObject({ ok: true });
      await database.install({}, '2026-10-01');
      expect(await kept(database)).toHaveLength(2);
    });

    test('a foreign partition and classic inheritance are refused, with what to choose instead', async () => {
      const database = await postgres.database(raw, 'create table child () inherits (raw)');
      await expect(database.plan()).rejects.toThrow(/inherit from it.*--strategy view/);
      expect((await database.plan({ strategy: 'view' })).tables).toHaveLength(1);
    });
  });

  test('filling waits for those who write, and they for it: nothing is missed or counted twice', async () => {
    const database = await postgres.database(raw);
    const writers = await Promise.all(Array.from({ length: 4 }, () => postgres.again(database.url)));
    let running = true;
    const written = writers.map(async (session, index) => {
      for (let n = 0; running; n++) await session.query(row(index * 1_000_000 + n));
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const rollup = await database.install();
    await new Promise((resolve) => setTimeout(resolve, 200));
    running = false;
    await Promise.all(written);
    await database.expectRight(rollup);
    expect(
      Number((await database.query('select sum(count) as count from usage_daily'))[0]!.count),
    ).toBeGreaterThan(10);
  });

  test.each([
    ['minute', 'UTC', '2026-10-25 00:30:59.9Z', '2026-10-25 00:30:00+00'],
    ['hour', 'Europe/Madrid', '2026-10-25 00:30Z', '2026-10-25 00:00:00+00'],
    ['hour', 'Europe/Madrid', '2026-10-25 01:30Z', '2026-10-25 01:00:00+00'],
    ['hour', 'Asia/Kolkata', '2026-10-25 00:29Z', '2026-10-24 23:30:00+00'],
    ['day', 'America/New_York', '2026-10-25 03:59Z', '2026-10-24'],
    ['week', 'UTC', '2026-10-25 12:00Z', '2026-10-19'],
    ['month', 'Europe/Madrid', '2026-10-31 23:30Z', '2026-11-01'],
    ['quarter', 'UTC', '2026-11-25 12:00Z', '2026-10-01'],
    ['year', 'Europe/Madrid', '2026-12-31 23:30Z', '2027-01-01'],
  ] as const)('a %s in %s: %s lies in %s', async (every, tz, time, bucket) => {
    const database = await postgres.database(raw, `set timezone = 'UTC'`);
    const stream = defineStream('usage', {
      ...declaration,
      rollups: { kept: { every, tz, sum: ['price'] } },
    });
    const rollup = await database.install({ stream });
    await database.query(row(1, `7, 'data', '${time}', 1, 1`));
    await database.query(`set timezone = 'UTC'`);
    expect(await database.query(`select ${every} as bucket from usage_kept`)).toEqual([{ bucket }]);
    await database.expectRight(rollup);
  });

  test('times without a zone are those of UTC; dates are midnights there', async () => {
    const stream = defineStream('usage', {
      ...declaration,
      rollups: { kept: { every: 'day', tz: 'America/New_York', sum: ['price'] } },
    });
    for (const [type, value, day] of [
      ['timestamp', '2026-10-05 03:00', '2026-10-04'],
      ['timestamp', '2026-10-05 12:00', '2026-10-05'],
      ['date', '2026-10-05', '2026-10-04'],
    ]) {
      const database = await postgres.database(`create table raw (usage_date ${type}, price integer)`);
      await database.install({ stream });
      await database.query(`insert into raw values ('${value}', 3)`);
      expect(await database.query('select day, sum_price from usage_kept')).toEqual([
        { day, sum_price: '3' },
      ]);
    }
  });

  test('names that need quotes, keys of every type, and defaults of fields', async () => {
    const stream = defineStream('usage', {
      time: 'order',
      fields: {
        order: { type: 'timestamp', required: true },
        kind: { type: 'text', default: `it's` },
        ok: { type: 'boolean' },
        day_of: { type: 'date' },
        who: { type: 'uuid' },
        rate: { type: 'decimal', precision: 10, scale: 4 },
        select: { type: 'integer' },
      },
      rollups: {
        daily: { every: 'all', by: ['kind', 'ok', 'day_of', 'who', 'rate', 'order'], sum: ['select'] },
      },
    });
    const database = await postgres.database(
      'create schema "Odd ""one"""',
      `create type mood as enum ('good', 'bad')`,
      `create table "Odd ""one"""."raw %1$s $$ \\" (id serial primary key, "order" timestamptz, "K i;nd" mood, ok boolean, day_of date, who uuid, rate numeric, "select" smallint)`,
    );
    const table = '"Odd ""one"""."raw %1$s $$ \\"';
    const rollup = await database.install({
      stream,
      into: `"Odd ""one"""."kept 'it'"`,
      tables: [{ form: undefined, name: table }],
      columns: [{ form: undefined, field: 'kind', column: 'K i;nd' }],
    });
    await database.query(`insert into ${table} ("order", "K i;nd", ok, rate, "select") values
      (now(), 'good', true, 1.0, 32767), (now(), null, null, 1.00, null)`);
    await database.query(`insert into ${table} ("order", "K i;nd", ok, rate, "select", who)
      select "order", "K i;nd", ok, 1.000, 32767, gen_random_uuid() from ${table}`);
    await database.query(`update ${table} set ok = not ok where id = 1`);
    await database.expectRight(rollup);
    expect(
      await database.query(
        `select kind, count, sum_select from "Odd ""one"""."kept 'it'" order by kind, who nulls first`,
      ),
    ).toMatchObject([
      { kind: 'good', sum_select: '32767' },
      { kind: 'good', sum_select: '32767' },
      { kind: `it's`, sum_select: '0' },
      { kind: `it's`, sum_select: '32767' },
    ]);
    await database.query(`truncate ${table}`);
    await database.expectRight(rollup);
  });

  test.each([
    ['a float', 'price double precision', /price of public.raw is of type double precision.*not exact/],
    ['a text as a sum', 'price text', /price of public.raw is of type text/],
    ['a column that is not there', 'cost numeric', /has no column price.*--column price=COLUMN/],
  ])('%s is refused with what to do', async (_, column, expected) => {
    const database = await postgres.database(
      `create table raw (subscription_id integer, type text, usage_date timestamptz, used integer, ${column})`,
    );
    await expect(database.plan()).rejects.toThrow(expected);
  });

  test('a relation that is there already and something else is left alone', async () => {
    const database = await postgres.database(raw, 'create table usage_daily (mine integer)');
    await expect(database.install()).rejects.toThrow('already exists');
    expect(await database.query('select mine from usage_daily')).toEqual([]);
    await database.install({ into: 'other' });
    const view = await database.plan({ into: 'other', strategy: 'view' });
    const [before] = await findInstalled(database, 'other');
    expect(() => installation(view, before)).toThrow('tallybook postgres remove public.other');
  });
});
