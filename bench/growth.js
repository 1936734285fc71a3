/**
 * Cost as it grows: one ledger that is filled to 1, 10 and 100 million records, and at each size what the same work
 * costs. A table for people, a picture for the docs, and one line of JSON for `results/growth.jsonl`. README.md says more.
 */
import { resolve } from 'node:path';
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags, whole, wholes } from './flags.js';
import { growthPhase } from './phases/growth.js';
import { table } from './report.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';

const said = {
  bench: 'growth',
  about: 'What the same work costs while a ledger grows.',
  flags: {
    sizes: wholes('1m,10m,100m', 100_000, 'records held when it is measured, ascending'),
    seconds: whole('5', 1, 'how long each load over HTTP is measured'),
    askings: whole('50', 1, 'how often each question is asked'),
    picture: {
      takes: 'FILE',
      standard: '',
      about: 'where a picture of the costs is written to, as SVG',
      // npm runs it in this directory, wherever it was called.
      read: (_flag, text) => text && resolve(process.env.INIT_CWD ?? '.', text),
    },
  },
};

const MEASURES = [
  ['import, µs a record', ({ probe }) => probe.us_per_record],
  ['import, peak memory in MB', ({ probe }) => probe.memory_bytes / 1e6],
  ['a batch of 1,000, ms', ({ batch }) => batch.p50_ms],
  ['one record, 32 connections, ms', ({ single }) => single.p50_ms],
  ['10,000 corrections at once, ms', ({ corrections_ms }) => corrections_ms],
  ['daily sums of a subscription, ms', ({ daily }) => daily.p50_ms],
  ['subscriptions over a limit, ms', ({ over }) => over.p50_ms],
  ['a record with its history, ms', ({ history }) => history.p50_ms],
  ['start until ready, ms', ({ ready_ms }) => ready_ms],
  ['memory after the start, MB', ({ resident_bytes }) => resident_bytes / 1e6],
  ['on disk, bytes a record', ({ disk_bytes, records }) => disk_bytes / records],
];

async function main() {
  const flags = readFlags(process.argv.slice(2), said);
  mustBeBuilt();
  if (flags.sizes.some((size, i) => i > 0 && size <= flags.sizes[i - 1]))
    throw new Error(`--sizes takes sizes that ascend; found ${flags.sizes.join(',')}`);
  const { picture, ...kept } = flags;
  const results = startResults(kept);
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  results.sizes = await growthPhase(run);
  console.log(`\n${growthTable(results.sizes)}\n`);
  keepResults('growth', results);
  if (picture !== '') {
    const { drawGrowth } = await import('./growth-picture.js');
    await drawGrowth(picture, costsOf(results.sizes));
  }
}

function growthTable(sizes) {
  const first = sizes[0];
  const last = sizes.at(-1);
  const head = [
    'records held',
    ...sizes.map(({ records }) => short(records)),
    'the last in times of the first',
  ];
  const lines = MEASURES.map(([title, of]) => [
    title,
    ...sizes.map((size) => digits(of(size))),
    digits(of(last) / of(first)),
  ]);
  return table(head, lines);
}

/** Of what is measured in time, in times of what it is at the first size. */
function costsOf(sizes) {
  return MEASURES.filter(([title]) => /(ms|µs a record)$/.test(title)).flatMap(([title, of]) =>
    sizes.map((size) => ({
      work: title.replace(/, (ms|µs a record)$/, ''),
      records: size.records,
      times: of(size) / of(sizes[0]),
    })),
  );
}

const digits = (number) => number.toLocaleString('en', { maximumSignificantDigits: number < 1_000 ? 2 : 3 });
const short = (records) =>
  records % 1_000_000 === 0 ? `${records / 1_000_000} million` : records.toLocaleString('en');

await runToEnd(main);
