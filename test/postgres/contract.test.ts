/**
 * The contract of a rollup that PostgreSQL keeps: whatever is written to the raw tables, and by how many at once, at
 * every commit it equals a recount. All strategies stand on the same raw tables and see the same commands.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { KeptRollup } from '../../src/postgres/kept-rollup.ts';
import { refresh } from '../../src/postgres/migration.ts';
import { verify } from '../../src/postgres/verify.ts';
import { postgresBinaries } from '../cli/postgres.ts';
import { type Database, postgresForTests, rawColumns } from './database.ts';
import { RandomCommands, type Shape } from './random-commands.ts';

const given = process.env.TALLYBOOK_TEST_SEED;
const seed = given ? Number(given) : Math.floor(Math.random() * 2 ** 32);

/** Written by hand, from the raw tables: what every rollup must hold. */
const counted = (tables: readonly string[]): string => `
  select subscription_id, type, (usage_date at time zone 'Europe/Madrid')::date as day, count(*) as count,
    coalesce(sum(price) filter (where price <> 'NaN'), 0) as sum_price, coalesce(sum(used), 0) as sum_used
  from (${tables.map((table) => `select * from ${table}`).join(' union all ')}) as records
  group by 1, 2, 3`;

interface RawTables extends Shape {
  schema: string[];
  /** What the rollup is the sum of. */
  roots: string[];
}

const partitioned = [
  `create table raw (id integer primary key, ${rawColumns}) partition by range (id)`,
  // Columns in another order, and a level below.
  `create table raw_low (note text, used bigint, id integer not null, price numeric(30, 10), type text,
     account integer, subscription_id integer, usage_date timestamptz)`,
  'alter table raw attach partition raw_low for values from (minvalue) to (150)',
  'create table raw_high partition of raw for values from (150) to (maxvalue) partition by range (id)',
  'create table raw_high_one partition of raw_high for values from (150) to (1000)',
  'create table raw_high_rest partition of raw_high default',
];

const kinds: Record<string, RawTables> = {
  'one table': {
    schema: [`create table raw (id integer primary key, ${rawColumns})`],
    roots: ['raw'],
    tables: [['raw', 0]],
    truncates: true,
    merges: true,
  },
  'a partitioned table': {
    schema: partitioned,
    roots: ['raw'],
    tables: [
      ['raw', 0],
      ['raw', 0],
      ['raw_high', 150],
    ],
    truncates: true,
    // Refused: see the tests of triggers.
    merges: false,
  },
  'two tables': {
    schema: ['raw', 'other'].map((table) => `create table ${table} (id integer primary key, ${rawColumns})`),
    roots: ['raw', 'other'],
    tables: [
      ['raw', 0],
      ['other', 0],
    ],
    truncates: true,
    merges: true,
  },
};

describe.skipIf(postgresBinaries === undefined)('a rollup in PostgreSQL', () => {
  const postgres = postgresForTests();

  async function installed({ schema, roots }: RawTables) {
    const database = await postgres.database(...schema);
    const request = { tables: roots.map((name) => ({ form: undefined, name })) };
    const byTriggers = await database.install({ ...request, into: 'by_triggers' });
    const byView = await database.install({ ...request, into: 'by_view', strategy: 'view' });
    const materialized = await database.install({
      ...request,
      into: 'materialized',
      strategy: 'materialized',
    });
    return { database, byTriggers, byView, materialized };
  }

  /** Both ways: rows of one that the other does not have; nulls are equal here. */
  async function expectSame(database: Database, relation: string, roots: readonly string[]): Promise<void> {
    const recount = counted(roots);
    const columns = 'subscription_id, type, day, count, sum_price, sum_used';
    const rows = await database.query(
      `(select 'too much' as is, * from (select ${columns} from ${relation} except all ${recount}) one)
       union all (select 'missing', * from (${recount} except all select ${columns} from ${relation}) other) limit 5`,
    );
    expect(rows, relation).toEqual([]);
  }

  describe.each(Object.entries(kinds))('over %s', (_, kind) => {
    test(`equals a recount after each commit, whatever the command (TALLYBOOK_TEST_SEED=${seed})`, async () => {
      const { database, byTriggers, materialized } = await installed(kind);
      const commands = new RandomCommands(seed, kind);
      for (let n = 0; n < 120; n++) {
        await commands.transaction(database, 1 + commands.random.below(4));
        await expectSame(database, 'by_triggers', kind.roots);
        await expectSame(database, 'by_view', kind.roots);
        if (n % 20 !== 0) continue;
        await database.query(refresh(materialized));
        await expectSame(database, 'materialized', kind.roots);
        await database.expectRight(byTriggers);
      }
      const empty = await database.query('select from by_triggers where count = 0');
      expect(empty).toEqual([]);
    }, 120_000);

    test(`8 sessions that share keys never deadlock, and every snapshot is right (TALLYBOOK_TEST_SEED=${seed})`, async () => {
      const { database, byTriggers } = await installed(kind);
      await beside(database, byTriggers, async (worker) => {
        const session = await postgres.again(database.url);
        // Each has rows of its own: they meet in the rollup alone, with long transactions, too.
        const commands = new RandomCommands(seed + worker, { ...kind, truncates: false }, worker);
        for (let n = 0; n < 25; n++) await commands.transaction(session, 1 + commands.random.below(3));
      });
      await expectSame(database, 'by_triggers', kind.roots);
    }, 120_000);

    test(`8 sessions that share rows: what deadlocks is rolled back, and the rollup with it (TALLYBOOK_TEST_SEED=${seed})`, async () => {
      const { database, byTriggers } = await installed(kind);
      let committed = 0;
      await beside(database, byTriggers, async (worker) => {
        const session = await postgres.again(database.url);
        await session.query(`set deadlock_timeout = '20ms'`);
        // All share the same ids: they meet in raw rows, too.
        const commands = new RandomCommands(seed + worker, kind);
        for (let n = 0; n < 25; n++) {
          try {
            await commands.transaction(session, 1 + commands.random.below(4));
            committed += 1;
          } catch (error) {
            // A deadlock, or an id that another one has brought meanwhile.
            expect(['40P01', '23505']).toContain((error as { code?: string }).code);
            await session.query('rollback');
          }
        }
      });
      expect(committed).toBeGreaterThan(40);
      await expectSame(database, 'by_triggers', kind.roots);
    }, 120_000);
  });

  /** Eight at work, while one looks at a snapshot after the other: each must be right. */
  async function beside(
    database: Database,
    kept: KeptRollup,
    work: (worker: number) => Promise<void>,
  ): Promise<void> {
    const watcher = await postgres.again(database.url);
    let running = true;
    const watching = (async () => {
      let looks = 0;
      for (; running; looks++) {
        // A reader of several tables may meet a truncate in a circle.
        const looked = await verify(watcher, kept).catch((error: { code?: string }) => error);
        if ('code' in looked) expect(looked.code).toBe('40P01');
        else expect(looked).toMatchObject({ first: [] });
        await sleep(20);
      }
      return looks;
    })();
    // It is told at the end, with what the others say.
    watching.catch(() => undefined);
    try {
      await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
    } finally {
      running = false;
      expect(await watching).toBeGreaterThan(0);
    }
  }
});
