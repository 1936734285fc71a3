/**
 * The same counts in PostgreSQL, two ways: the sum of the steps of a space, with an index on space and time that covers it;
 * and a table of running counts, of which the last one at or before the time is read. Neither follows when a sensor is
 * moved afterwards, nor when something comes late: the first would have to be derived anew, the second from there on.
 */
import { createReadStream, writeFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import copyStreams from 'pg-copy-streams';
import { startPostgres } from '../contestants/postgres-server.js';
import { askingOf, DAYS, makeBuilding, passagesOfDay, STEPS, spansSql } from '../made-building.js';
import { mustBe, timed } from './occupancy-tallybook.js';

export async function measurePostgres({ dir, flags }) {
  const passages = Math.min(flags.passages, flags.postgres);
  const building = makeBuilding(flags);
  const db = await DuckDBInstance.create(':memory:', { memory_limit: '4GB', temp_directory: `${dir}/spill` });
  const files = await db.connect();
  writeFileSync(
    `${dir}/assignments.ndjson`,
    building.assignments.map((one) => `${JSON.stringify(one)}\n`).join(''),
  );
  await files.run(`create table spans as ${spansSql(`${dir}/assignments.ndjson`)}`);
  const days = Array.from({ length: DAYS }, (_, day) => `(${passagesOfDay(day, passages, flags.sensors)})`);
  await files.run(`create view passages as ${days.join(' union all ')}`);
  const csv = `${dir}/steps.csv`;
  await files.run(
    `copy (select substr(space, 2)::integer, passed, delta from (${STEPS}) order by passed) to '${csv}' (format csv, header false)`,
  );
  files.closeSync();
  db.closeSync();

  const server = await startPostgres(dir);
  try {
    const client = await server.connect();
    const start = performance.now();
    await client.query(
      'create table steps (space integer not null, at timestamp not null, delta smallint not null)',
    );
    await pipeline(
      createReadStream(csv),
      client.query(copyStreams.from('copy steps from stdin (format csv)')),
    );
    await client.query('create index on steps (space, at) include (delta)');
    const load_seconds = (performance.now() - start) / 1000;
    const again = performance.now();
    await client.query(
      'create table running as select space, at, sum(delta) over (partition by space order by at) as count from steps',
    );
    await client.query('create index on running (space, at) include (count)');
    const running_seconds = (performance.now() - again) / 1000;
    await client.query('vacuum analyze');
    const one = async (name, text, values) =>
      Number((await client.query({ name, text, values })).rows[0]?.count ?? 0);
    const at = (n) => {
      const { space, at } = askingOf(n, flags.spaces);
      return [space, new Date(at).toISOString().slice(0, 23)];
    };
    const sum = (n) =>
      one('sum', 'select coalesce(sum(delta), 0) as count from steps where space = $1 and at <= $2', at(n));
    const last = (n) =>
      one('last', 'select count from running where space = $1 and at <= $2 order by at desc limit 1', at(n));
    for (let n = 0; n < 20; n++) mustBe(`running count ${n}`, await last(n), await sum(n));
    const all = Math.min(flags.askings, 20);
    return {
      passages,
      load_seconds,
      running_seconds,
      sum: {
        count: await timed(flags.askings, async (n) => void (await sum(n))),
        all: await timed(
          all,
          async (n) =>
            void (await client.query({
              name: 'all',
              text: 'select space, sum(delta) from steps where at <= $1 group by space',
              values: [at(n)[1]],
            })),
        ),
      },
      running: {
        count: await timed(flags.askings, async (n) => void (await last(n))),
        all: await timed(
          all,
          async (n) =>
            void (await client.query({
              name: 'all last',
              text: `select s.space, l.count from generate_series(1, ${flags.spaces}) s(space) left join lateral (select count from running r where r.space = s.space and at <= $1 order by at desc limit 1) l on true`,
              values: [at(n)[1]],
            })),
        ),
      },
    };
  } finally {
    await server.stop();
  }
}
