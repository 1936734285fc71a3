/**
 * The run: three phases, each comparing Tallybook with its peers and its floors on this machine, then tables for
 * people and one line of JSON for `results/ledger.jsonl`. What is compared and why that is fair: README.md.
 */
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags } from './flags.js';
import { machine, versions } from './machine.js';
import { httpPhase } from './phases/http.js';
import { importPhase } from './phases/import.js';
import { questionsPhase } from './phases/questions.js';
import { httpTable, importTable, questionsTable, targetsTable } from './report.js';
import { keepResults, runToEnd } from './run.js';
import { makeScratch } from './scratch.js';
import { checkTargets } from './targets.js';

async function main() {
  const flags = readFlags(process.argv.slice(2));
  if (!flags.without.includes('tallybook')) mustBeBuilt();
  const run = { flags, scratch: makeScratch(flags.dir), say: (line) => console.error(`  ${line}`) };
  const { dir, ...told } = flags;
  const results = { date: new Date().toISOString(), flags: told, machine: machine(), versions: versions() };
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
