/**
 * Tallybook, used as anybody would use it: `tallybook reports import` with all files, the whole life of its process in
 * the time; then, compacted, the top of the catalogue from a server, texts and reports of every recording included: as
 * it stands, from a rollup, and as it was known a moment ago, from the lines themselves.
 */
import { join } from 'node:path';
import { CROWNS } from '../made-reports.js';
import { ask, run, serve, version } from './tallybook.js';

/** @param {{reports: {file: string}[], dir: string, percent: number, askings: number}} what */
export async function takeIn({ reports, dir, percent, askings }) {
  const data = join(dir, 'tallybook');
  const files = reports.map(({ file }) => file);
  const fixed = ['--policy', 'fixed', '--rate', String(CROWNS)];
  const start = performance.now();
  const { memory_bytes } = await run(['reports', 'import', ...files, ...fixed, '--data', data, '--json']);
  const seconds = (performance.now() - start) / 1000;
  // A server does it two seconds after it starts; PostgreSQL is vacuumed and analysed, too.
  const compacting = performance.now();
  await run(['compact', '--data', data]);
  const compact_seconds = (performance.now() - compacting) / 1000;
  const server = await serve(data);
  const [sums] = await ask(server.url, { measures: 'count,sum(usages),sum(revenue)' }, 'report_lines');
  const known = new URLSearchParams({ known_at: new Date().toISOString() });
  const address = `${server.url}/resources/percentile/${percent}`;
  const rollup = await askOften(address, askings);
  const ledger = await askOften(`${address}?${known}`, askings);
  if (JSON.stringify(ledger.top) !== JSON.stringify(rollup.top))
    throw new Error('the rollup and the ledger give two answers');
  await server.stop();
  return {
    seconds,
    compact_seconds,
    memory_bytes,
    sums: { lines: String(sums.count), usages: sums['sum(usages)'], revenue: sums['sum(revenue)'] },
    questions: { rollup: rollup.times, ledger: ledger.times },
    top: rollup.top,
    engine: await version(),
  };
}

async function askOften(address, askings) {
  const times = [];
  let text;
  for (let n = 0; n < askings; n++) {
    const asked = performance.now();
    const answer = await fetch(address);
    text = await answer.text();
    times.push(performance.now() - asked);
    if (!answer.ok) throw new Error(`${address} answered ${answer.status}: ${text.slice(0, 300)}`);
  }
  const top = JSON.parse(text).map(({ dsp_id, revenue_exact, usages }) => ({
    dsp_id,
    revenue: revenue_exact,
    usages: String(usages),
  }));
  return { times, top };
}
