/**
 * Phase writes: what keeping the aggregate of usage right costs by record, when so many records are held, and what the
 * two questions cost then. A cell works until its records are done or its time is over; the cost is that of what was
 * done, and how many that were is told. After each cell all sums are compared with the right ones, key by key.
 */
import { execFileSync } from 'node:child_process';
import * as postgres from '../contestants/usage-postgres.js';
import * as tallybook from '../contestants/usage-tallybook.js';
import { askedOften } from '../latencies.js';
import { centsOf, MadeUsage } from '../made-usage.js';
import { inOwnProcess } from '../own-process.js';

export const WAYS = {
  engine: tallybook.openEngine,
  http: tallybook.openHttp,
  application: postgres.openApplication,
  triggers: postgres.openTriggers,
  view: postgres.openView,
};

/** Records in one request. */
const MANY = 1_000;
const AT_ONCE = 16;
const LOADED_AT_ONCE = 50_000;
/** Records with which every operation is tried before a clock starts; nothing is measured on them. */
const WARM = 20;

/** @param {{flags: any, scratch: any, say: (line: string) => void}} run */
export async function writesPhase({ flags, scratch, say }) {
  /** @type {Record<string, Record<string, any[]>>} */
  const results = {};
  const names = Object.keys(WAYS).filter((name) => !flags.without.includes(name));
  for (let round = 1; round <= flags.rounds; round++) {
    for (const size of flags.sizes) {
      results[size] ??= Object.fromEntries(names.map((name) => [name, []]));
      for (const name of names) {
        execFileSync('sync');
        const { seconds: budget, corrections, askings } = flags;
        const result = await scratch.inNewDirectory((dir) =>
          inOwnProcess('phases/usage-writes.js', 'measureWay', {
            name,
            size,
            dir,
            budget,
            corrections,
            askings,
          }),
        );
        results[size][name].push(result);
        say(`${size} records, round ${round}: ${name} done`);
      }
    }
  }
  return results;
}

/** All cells of one way, in a process of its own. */
export async function measureWay({ name, size, dir, budget, corrections, askings }) {
  const way = await WAYS[name](dir);
  const made = new MadeUsage(size);
  const cells = {};
  const cell = async (title, work) => {
    cells[title] = await work();
    made.mustBe(`${name}, ${title}`, await way.sums());
  };

  // Statements are planned and caches warm before the clock starts.
  await way.create(made.create(WARM));
  for (const many of [1, WARM / 2 - 1]) await way.correct(made.correct(0, many));
  await way.remove(made.remove(0, 1));
  await way.remove(made.remove(1, WARM / 2 - 1));
  await cell('create many', () => timed(size, MANY, 1, budget, (_, many) => way.create(made.create(many))));
  const missing = size - cells['create many'].records;
  for (let left = missing; left > 0; left -= LOADED_AT_ONCE)
    await way.load(made.create(Math.min(LOADED_AT_ONCE, left)));
  if (missing > 0) await way.loaded?.();
  if (missing > 0) made.mustBe(`${name}, loaded`, await way.sums());

  await cell('create', () => timed(size, 1, 1, budget, () => way.create(made.create(1))));
  await cell(`create, ${AT_ONCE} at a time`, () =>
    timed(size, 1, AT_ONCE, budget, () => way.create(made.create(1))),
  );
  await cell('correct', () => timed(size, 1, 1, budget, (from) => way.correct(made.correct(WARM + from, 1))));
  await cell('correct many', () =>
    timed(size, MANY, 1, budget, (from, many) => way.correct(made.correct(WARM + from, many))),
  );
  // One request of all of them; where that takes too long, as many as the time allows for, told by the cells above.
  const each = cells['correct many'].ms_per_record;
  const affordable = name === 'application' ? Math.floor((budget * 2 * 1000) / each) : corrections;
  const asked = Math.min(size, corrections, Math.max(1, affordable));
  if (size >= corrections)
    await cell('correct in one request', () =>
      timed(asked, asked, 1, Number.POSITIVE_INFINITY, (from, many) =>
        way.correct(made.correct(WARM + from, many)),
      ),
    );

  await way.settle?.();
  const questions = await ask(way, made, askings, budget);
  await cell('remove', () =>
    timed(Math.floor(size / 2), 1, 1, budget, (from) => way.remove(made.remove(WARM + from, 1))),
  );
  const removed = cells.remove.records;
  await cell('remove many', () =>
    timed(size - removed, MANY, 1, budget, (from, many) =>
      way.remove(made.remove(WARM + removed + from, many)),
    ),
  );
  await way.close();
  return { cells, questions, engine: way.engine };
}

/**
 * Works through records, so many in a step and so many steps at a time, until all are done or the time is over.
 * @param {(from: number, many: number) => Promise<void>} work
 */
async function timed(records, step, atOnce, budget, work) {
  let next = 0;
  let done = 0;
  const start = performance.now();
  const until = start + budget * 1000;
  const worker = async () => {
    while (next < records && performance.now() < until) {
      const from = next;
      const many = Math.min(step, records - from);
      next += many;
      await work(from, many);
      done += many;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const ms = performance.now() - start;
  return { records: done, of: records, ms_per_record: ms / done };
}

/** Who reached the limit, and one subscription's sums; every answer is compared. */
async function ask(way, made, askings, budget) {
  const limit = made.limitCents();
  const right = JSON.stringify(made.exceeding(limit, 100));
  const exceeding = async () => {
    const found = await way.exceeding(limit);
    return () => mustEqual('exceeding', JSON.stringify(found.map(centsOf)), right);
  };
  const metrics = async (n) => {
    const subscription = 1 + ((n * 4_999) % made.subscriptions);
    const found = await way.metrics(subscription);
    return () =>
      mustEqual(
        `metrics of ${subscription}`,
        JSON.stringify(found.map(told).sort()),
        JSON.stringify(made.of(subscription).map(told).sort()),
      );
  };
  return {
    exceeding: await askedOften(askings, exceeding, budget),
    metrics: await askedOften(askings, metrics, budget),
  };
}

const told = ({ type, cents, price, used, records }) =>
  `${type} ${cents ?? centsOf(price)} ${used} ${records}`;

export function mustEqual(what, found, right) {
  if (found !== right)
    throw new Error(`${what}: found ${found.slice(0, 300)}, expected ${right.slice(0, 300)}`);
}
