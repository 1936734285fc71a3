/**
 * Phase questions: the first page of the events of a session, of a category, of a stretch of time, newest first, and
 * of two of them together, over many millions of events. They are made by DuckDB and imported in slices of a day,
 * through the library; every answer is compared with what DuckDB finds in the files.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { openLibrary } from '../contestants/usage-tallybook.js';
import { latenciesOf } from '../latencies.js';
import { CATEGORIES, DAYS, daySql, STREAM } from '../made-events.js';
import { inOwnProcess } from '../own-process.js';
import { mustEqual } from './usage-writes.js';

const PAGE = 100;

/** @param {{flags: any, scratch: any, say: (line: string) => void}} run */
export function eventQuestionsPhase({ flags, scratch, say }) {
  const rows = Math.ceil(flags.held / DAYS);
  say(`${rows * DAYS} events, ${DAYS} days`);
  return scratch.inNewDirectory((dir) =>
    inOwnProcess('phases/events-questions.js', 'measureQuestions', { dir, rows, askings: flags.askings }),
  );
}

export async function measureQuestions({ dir, rows, askings }) {
  const db = await DuckDBInstance.create(':memory:', { memory_limit: '4GB', temp_directory: `${dir}/spill` });
  const files = await db.connect();
  const rowsOf = async (sql) => (await files.runAndReadAll(sql)).getRowsJson();
  const tallybook = await openLibrary(dir);
  let seconds = 0;
  for (let day = 0; day < DAYS; day++) {
    const path = `${dir}/day-${String(day).padStart(2, '0')}.parquet`;
    await files.run(`copy (${daySql(day, rows)}) to '${path}' (format parquet)`);
    const start = performance.now();
    const { id } = await tallybook.imports.start({
      stream: tallybook.streams.get(STREAM),
      path,
      name: `day ${day + 1}`,
      format: 'parquet',
      mode: 'insert',
      source: 'bench',
      deleteFile: false,
    });
    const { status, error, counts } = await tallybook.imports.wait(id);
    seconds += (performance.now() - start) / 1000;
    if (status !== 'done' || counts.accepted !== rows)
      throw new Error(`day ${day + 1} ended as ${status}: ${error ?? JSON.stringify(counts)}`);
    console.error(`  day ${day + 1} of ${DAYS}: ${Math.round((rows * (day + 1)) / seconds)} rows/s`);
  }
  await files.run(`create view made as select * from read_parquet('${dir}/day-*.parquet')`);
  await tallybook.compact();

  const sessions = Math.max(1, Math.floor(rows / 20));
  const dayOf = (n) => (n * 7 + 3) % DAYS;
  const from = (n) =>
    `2026-10-${String(1 + dayOf(n)).padStart(2, '0')}T${String(n % 23).padStart(2, '0')}:00:00Z`;
  const to = (n) => from(n).replace(':00:00Z', ':10:00Z');
  const session = (n) => `d${dayOf(n)}-${(n * 4_999) % sessions}`;
  const category = (n) => `c${n % CATEGORIES}`;
  const within = (n) =>
    `timestamp >= timestamp '${from(n).slice(0, -1)}' and timestamp < timestamp '${to(n).slice(0, -1)}'`;
  const asked = {
    'a session': (n) => [{ where: { session_id: { eq: session(n) } } }, `session_id = '${session(n)}'`],
    'a category': (n) => [{ where: { category: { eq: category(n) } } }, `category = '${category(n)}'`],
    'ten minutes': (n) => [{ from: from(n), to: to(n) }, within(n)],
    'a category within ten minutes': (n) => [
      { where: { category: { eq: category(n) } }, from: from(n), to: to(n) },
      `category = '${category(n)}' and ${within(n)}`,
    ],
  };
  const questions = {};
  for (const [title, of] of Object.entries(asked)) {
    const times = [];
    for (let n = 0; n <= askings; n++) {
      const [selection, condition] = of(n);
      const start = performance.now();
      const { records } = await tallybook.records(STREAM, selection, { size: PAGE, newestFirst: true });
      // The first asking only warms up.
      if (n > 0) times.push(performance.now() - start);
      if (n % 5 > 0) continue;
      const right = await rowsOf(
        `select id from made where ${condition} order by timestamp desc, id desc limit ${PAGE}`,
      );
      mustEqual(title, JSON.stringify(records.map(({ id }) => id)), JSON.stringify(right.map(([id]) => id)));
    }
    questions[title] = { asked: times.length, ...latenciesOf(times) };
  }
  await tallybook.close();
  files.closeSync();
  db.closeSync();
  return { held: rows * DAYS, seconds, questions };
}
