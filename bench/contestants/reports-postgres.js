/**
 * PostgreSQL: `copy` of every report into one table without an index, all in one transaction, with what a statement can
 * add: the number of the report. Then the top of the catalogue by window functions, after `vacuum analyze`. It compares
 * nothing, keeps no sums, and its answer has neither texts nor the reports of a recording.
 */
import { CROWNS } from '../made-reports.js';
import { watchMemory } from '../memory.js';
import { copy } from './postgres.js';
import { startPostgres } from './postgres-server.js';

const TOP = `with sums as (
    select dsp_id, sum(revenue * euro_rate) as revenue, sum(usages) as usages
    from lines join reports using (report) group by dsp_id
  ), ranked as (
    select *, sum(revenue) over (order by revenue desc, dsp_id rows between unbounded preceding and 1 preceding) as before,
      sum(revenue) over () as total
    from sums
  )
  select dsp_id, trim_scale(revenue)::text as revenue, usages::text from ranked
  where coalesce(before, 0) * 100 < total * $1 order by ranked.revenue desc, dsp_id`;

/** @param {{reports: {file: string, currency: string}[], dir: string, percent: number, askings: number}} what */
export async function takeIn({ reports, dir, percent, askings }) {
  const server = await startPostgres(dir);
  const client = await server.connect();
  await client.query(`
    create table lines (report integer not null, dsp_id text not null, title text, artists text, isrc text,
      usages bigint, revenue numeric(38, 20));
    create table reports (report integer primary key, euro_rate numeric not null)`);
  const memory = watchMemory(server.pid);
  const start = performance.now();
  await client.query('begin');
  for (const [n, { file, currency }] of reports.entries()) {
    await client.query(`alter table lines alter column report set default ${n}`);
    await client.query('insert into reports values ($1, $2)', [
      n,
      currency === 'EUR' ? '1' : String(1 / CROWNS),
    ]);
    await copy(
      client,
      file,
      'copy lines (dsp_id, title, artists, isrc, usages, revenue) from stdin (format text, header true)',
    );
  }
  await client.query('commit');
  const seconds = (performance.now() - start) / 1000;
  const memory_bytes = memory.stop();
  await client.query('vacuum analyze');
  const { rows } = await client.query(
    'select count(*)::text as lines, sum(usages)::text as usages, trim_scale(sum(revenue))::text as revenue from lines',
  );
  const times = [];
  let top;
  for (let n = 0; n < askings; n++) {
    const asked = performance.now();
    top = (await client.query(TOP, [percent])).rows;
    times.push(performance.now() - asked);
  }
  const engine = (await client.query('show server_version')).rows[0].server_version;
  await client.end();
  await server.stop();
  return { seconds, memory_bytes, sums: rows[0], questions: { rollup: times }, top, engine };
}
