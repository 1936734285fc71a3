/**
 * What it costs to take sales reports in, and to ask for the top of the catalogue: Tallybook beside PostgreSQL and the
 * bare parse. Tables for people, and one line of JSON for `results/reports.jsonl`. README.md says more.
 */
import { loadavg } from 'node:os';
import { mustBeBuilt } from './contestants/tallybook.js';
import { machine, versions } from './machine.js';
import { reportsPhase } from './phases/reports.js';
import { targetsTable } from './report.js';
import { readReportsFlags } from './reports-flags.js';
import { takeInTable, topTable } from './reports-report.js';
import { keepResults, runToEnd } from './run.js';
import { makeScratch } from './scratch.js';
import { checkReportTargets } from './targets.js';

async function main() {
  const flags = readReportsFlags(process.argv.slice(2));
  mustBeBuilt();
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  const { dir, ...told } = flags;
  const results = {
    date: new Date().toISOString(),
    flags: told,
    machine: machine(),
    versions: versions(),
    load_average: [loadavg()[0]],
  };
  results.reports = await reportsPhase(run);
  console.log(`\n${takeInTable(results.reports, flags.lines)}\n\n${topTable(results.reports)}\n`);
  results.load_average.push(loadavg()[0]);
  results.targets = checkReportTargets(results);
  console.log(`${targetsTable(results.targets)}\n`);
  keepResults('reports', results);
}

await runToEnd(main);
