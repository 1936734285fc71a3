/**
 * Random commands on raw tables of usage: single and bulk, of every kind that PostgreSQL has. Commands of one worker
 * touch only ids of its own, so that workers meet in the rollup alone; with `shared` they meet in the rows, too.
 */
import type { Writable } from 'node:stream';
import { from as copyFrom } from 'pg-copy-streams';
import { Random } from '../contract/random-work.ts';
import type { Database } from './database.ts';

export interface Shape {
  /** What is written to, each with the least id that it takes; one that stands twice is taken twice as often. */
  tables: readonly (readonly [name: string, from: number])[];
  /** Whether `truncate` may come. */
  truncates: boolean;
  /** Whether `merge` may come; else rows are deleted. */
  merges: boolean;
}

const columns = 'id, subscription_id, type, usage_date, price, used, account';
/** Every expression takes a number `n`, and gives few different keys and a null now and then. */
const made = (salt: number): string => `
  case when (n * 7 + ${salt}) % 11 = 0 then null else (n * 31 + ${salt}) % 5 end,
  (array['data', 'voice', null, 'Data'])[1 + (n * 13 + ${salt}) % 4],
  case when (n + ${salt}) % 17 = 0 then null
    else timestamptz '2026-10-24 21:30+00' + (n * 37 + ${salt}) % 72 * interval '1 hour' end,
  case when (n + ${salt}) % 13 = 0 then null when (n + ${salt}) % 29 = 0 then 'NaN' else (n * 977 + ${salt}) % 100000 * 0.0000000001 end,
  case when (n + ${salt}) % 19 = 0 then null else (n * 57 + ${salt}) % 1000 end,
  1 + (n + ${salt}) % 3`;

export class RandomCommands {
  readonly random: Random;
  readonly #shape: Shape;
  readonly #worker: number;
  readonly #idsEach = 400;

  constructor(seed: number, shape: Shape, worker = 0) {
    this.random = new Random(seed);
    this.#shape = shape;
    this.#worker = worker;
  }

  /** One transaction: some commands, savepoints among them, and its end. */
  async transaction(database: Database, commands: number): Promise<void> {
    const { random } = this;
    await database.query('begin');
    for (let n = 0; n < commands; n++) {
      const tentative = random.below(4) === 0;
      if (tentative) await database.query('savepoint here');
      await this.command(database);
      if (tentative) await database.query(random.below(2) === 0 ? 'rollback to here' : 'release here');
    }
    await database.query(random.below(5) === 0 ? 'rollback' : 'commit');
  }

  async command(database: Database): Promise<void> {
    const { random } = this;
    const [table, least] = random.pick(this.#shape.tables);
    const salt = random.below(1000);
    const many = random.pick([1, 1, 2, 20, 150]);
    const begin = this.#worker * this.#idsEach;
    const first = Math.max(least, begin + random.below(this.#idsEach));
    const last = Math.min(first + many, begin + this.#idsEach) - 1;
    const rows = `select n, ${made(salt)} from generate_series(${first}, ${last}) n`;
    const those = `id between ${first} and ${last}`;
    const run = (sql: string) => database.query(sql);
    const insert = `insert into ${table} (${columns}) ${rows}`;
    const kind = random.below(14);
    // Truncating is rare: little would ever be there.
    if (kind === 13 && this.#shape.truncates && random.below(4) === 0) await run(`truncate ${table}`);
    else if (kind <= 2) await run(`${insert} on conflict do nothing`);
    else if (kind <= 4)
      await run(`${insert} on conflict (id) do update set (subscription_id, type, usage_date, price, used) =
        (excluded.subscription_id, excluded.type, excluded.usage_date, excluded.price, excluded.used)
        where ${table}.price is distinct from excluded.price`);
    else if (kind === 5) await this.#copy(database, table, first, last);
    else if (kind === 6)
      await run(
        `update ${table} set usage_date = usage_date + interval '25 hours', price = price * 3 where ${those}`,
      );
    else if (kind === 7)
      await run(`update ${table} set subscription_id = given.subscription_id, type = given.type, used = given.used
        from (${rows}) given (id, subscription_id, type, usage_date, price, used, account) where ${table}.id = given.id`);
    else if (kind === 8) await run(`update ${table} set note = 'seen' where ${those}`);
    else if (kind === 9) await run(`delete from ${table} where ${those}`);
    else if (kind === 10)
      await run(`with gone as (delete from ${table} where ${those} and id % 3 = 0 returning *)
        update ${table} set price = 1.5, type = 'voice' where ${those} and id % 3 = 1 and exists (select from gone)`);
    else if (kind === 11 && this.#shape.merges)
      await run(`merge into ${table} as kept using (${rows}) as given (id, subscription_id, type, usage_date, price, used, account)
        on kept.id = given.id
        when matched and given.id % 4 = 0 then delete
        when matched then update set price = given.price, type = given.type, usage_date = given.usage_date
        when not matched then insert (${columns}) values (given.id, given.subscription_id, given.type, given.usage_date, given.price, given.used, given.account)`);
    else await run(`delete from ${table} where ${those} and price > 0.000001`);
  }

  async #copy(database: Database, table: string, first: number, last: number): Promise<void> {
    await database.query(`delete from ${table} where id between ${first} and ${last}`);
    const stream = database.client.query(
      copyFrom(`copy ${table} (id, subscription_id, price, usage_date, type) from stdin`),
    ) as Writable;
    for (let id = first; id <= last; id++)
      stream.write(
        `${id}\t${id % 7 === 0 ? '\\N' : id % 5}\t0.${id}\t2026-10-25 0${id % 4}:30:00+02\tdata\n`,
      );
    await new Promise<void>((resolve, reject) => {
      stream.on('finish', resolve).on('error', reject);
      stream.end();
    });
  }
}
