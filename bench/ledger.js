/**
 * The run: three phases, each comparing Tallybook with its peers and its floors on this machine, then tables for
 * people and one line of JSON for `results/ledger.jsonl`. What is compared and why that is fair: README.md.
 */
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags, some, whole, without } from './flags.js';
import { httpPhase } from './phases/http.js';
import { importPhase } from './phases/import.js';
import { questionsPhase } from './phases/questions.js';
import { httpTable, importTable, questionsTable, targetsTable } from './report.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';
import { checkTargets } from './targets.js';

const said = {
  bench: 'ledger',
  about: 'Compares Tallybook with its peers and its floors, on this machine, in this run.',
  flags: {
    rows: whole('5m', 1_000, 'records in the imported file'),
    rounds: whole('3', 1, 'how often each contestant runs, in turn'),
    only: some(['import', 'http', 'questions']),
    without: without(['tallybook', 'postgres', 'postgres-first-load', 'sqlite', 'clickhouse']),
    seconds: whole('8', 1, 'how long each HTTP load is measured'),
    prefill: whole('0', 0, 'records in the ledger before the HTTP loads start'),
    askings: whole('100', 1, 'how often each question is asked'),
  },
};

async function main() {
  const flags = readFlags(process.argv.slice(2), said);
  if (!flags.without.includes('tallybook')) mustBeBuilt();
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  const results = startResults(flags);
  const wanted = (phase) => flags.only.includes(phase);

  if (wanted('import')) {
    results.import = await importPhase(run);
    console.log(`\n${importTable(results.import, flags.rows)}\n`);
  }
  if (wanted('http')) {
    results.http = await httpPhase(run);
    console.log(`\n${httpTable(results.http.loads)}\n`);
  }
  if (wanted('questions')) {
    results.questions = await questionsPhase(run);
    console.log(`\n${questionsTable(results.questions)}\n`);
  }
  results.targets = checkTargets(results);
  if (results.targets.length > 0) console.log(`${targetsTable(results.targets)}\n`);
  keepResults('ledger', results);
}

await runToEnd(main);
