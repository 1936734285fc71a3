/**
 * What it costs to take sales reports in, and to ask for the top of the catalogue: Tallybook beside PostgreSQL and the
 * bare parse. Tables for people, and one line of JSON for `results/reports.jsonl`. README.md says more.
 */
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags, whole, without } from './flags.js';
import { reportsPhase } from './phases/reports.js';
import { targetsTable } from './report.js';
import { takeInTable, topTable } from './reports-report.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';
import { checkReportTargets } from './targets.js';

const said = {
  bench: 'reports',
  about: 'What it costs to take sales reports in, and to ask for the top of the catalogue.',
  flags: {
    lines: whole('10m', 1_000, 'lines of all reports'),
    recordings: whole('0', 0, 'recordings that they are of; 0: a tenth of the lines, a twentieth above 10m'),
    reports: whole('10', 1, 'files that they come in'),
    without: without(['postgres']),
    rounds: whole('1', 1, 'how often each contestant runs, in turn'),
    askings: whole('5', 1, 'how often the question is asked'),
  },
};

async function main() {
  const flags = readFlags(process.argv.slice(2), said);
  flags.recordings ||= Math.ceil(flags.lines / (flags.lines > 10_000_000 ? 20 : 10));
  mustBeBuilt();
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  const results = startResults(flags);
  results.reports = await reportsPhase(run);
  console.log(`\n${takeInTable(results.reports, flags.lines)}\n\n${topTable(results.reports)}\n`);
  results.targets = checkReportTargets(results);
  console.log(`${targetsTable(results.targets)}\n`);
  keepResults('reports', results);
}

await runToEnd(main);
