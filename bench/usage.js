/**
 * What keeping the aggregate of usage right costs by record, and what asking costs: Tallybook beside three ways that
 * are usual with PostgreSQL. Tables for people, and one line of JSON for `results/usage.jsonl`. README.md says more.
 */
import { loadavg } from 'node:os';
import { mustBeBuilt } from './contestants/tallybook.js';
import { machine, versions } from './machine.js';
import { aggregatesPhase } from './phases/usage-aggregates.js';
import { writesPhase } from './phases/usage-writes.js';
import { keepResults, runToEnd } from './run.js';
import { makeScratch } from './scratch.js';
import { readUsageFlags } from './usage-flags.js';
import { aggregatesTable, questionsTable, writesTable } from './usage-report.js';

async function main() {
  const flags = readUsageFlags(process.argv.slice(2));
  mustBeBuilt();
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  const { dir, ...told } = flags;
  const results = {
    date: new Date().toISOString(),
    flags: told,
    machine: machine(),
    versions: versions(),
    // A run beside other work tells it: more is waiting for the processors than there are of them.
    load_average: [loadavg()[0]],
  };
  if (flags.aggregates > 0) {
    results.aggregates = await aggregatesPhase(run);
    console.log(`\n${aggregatesTable(results.aggregates)}\n`);
  } else {
    results.writes = await writesPhase(run);
    for (const size of Object.keys(results.writes)) {
      console.log(`\n${writesTable(results.writes, size)}\n\n${questionsTable(results.writes, size)}\n`);
    }
  }
  results.load_average.push(loadavg()[0]);
  keepResults('usage', results);
}

await runToEnd(main);
