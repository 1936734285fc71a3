/**
 * What keeping the aggregate of usage right costs by record, and what asking costs: Tallybook beside three ways that
 * are usual with PostgreSQL. Tables for people, and one line of JSON for `results/usage.jsonl`. README.md says more.
 */
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags, whole, wholes, without } from './flags.js';
import { aggregatesPhase } from './phases/usage-aggregates.js';
import { writesPhase } from './phases/usage-writes.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';
import { aggregatesTable, questionsTable, writesTable } from './usage-report.js';

const said = {
  bench: 'usage',
  about:
    'What keeping the aggregate of usage right costs by record, and what asking costs: Tallybook and three ways in PostgreSQL.',
  flags: {
    sizes: wholes('100,1000,1m', 100, 'records held'),
    without: without(['engine', 'http', 'application', 'triggers', 'view']),
    rounds: whole('1', 1, 'how often each way runs, in turn'),
    seconds: whole('10', 1, 'time of a cell at most'),
    corrections: whole('100k', 1, 'corrections in one request, for sizes of at least as many'),
    askings: whole('50', 1, 'how often each question is asked at most'),
    aggregates: whole('0', 0, 'instead: so many rows of the aggregate, such as 60m, and the questions'),
  },
};

async function main() {
  const flags = readFlags(process.argv.slice(2), said);
  mustBeBuilt();
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  const results = startResults(flags);
  if (flags.aggregates > 0) {
    results.aggregates = await aggregatesPhase(run);
    console.log(`\n${aggregatesTable(results.aggregates)}\n`);
  } else {
    results.writes = await writesPhase(run);
    for (const size of Object.keys(results.writes)) {
      console.log(`\n${writesTable(results.writes, size)}\n\n${questionsTable(results.writes, size)}\n`);
    }
  }
  keepResults('usage', results);
}

await runToEnd(main);
