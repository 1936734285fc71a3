/**
 * What it costs to take events in: Tallybook beside a bare server and the classic way by a queue and a worker; and what
 * the first page of a list of events costs. Tables for people, and one line of JSON for `results/events.jsonl`.
 * README.md says more.
 */
import { loadavg } from 'node:os';
import { missingQueue } from './contestants/queue-and-worker.js';
import { mustBeBuilt } from './contestants/tallybook.js';
import { readEventsFlags } from './events-flags.js';
import { pagesTable, ratesTable, steadyTable } from './events-report.js';
import { machine, versions } from './machine.js';
import { eventQuestionsPhase } from './phases/events-questions.js';
import { ratesPhase } from './phases/events-rates.js';
import { steadyPhase } from './phases/events-steady.js';
import { targetsTable } from './report.js';
import { keepResults, runToEnd } from './run.js';
import { makeScratch } from './scratch.js';
import { checkEventTargets } from './targets.js';

async function main() {
  const flags = readEventsFlags(process.argv.slice(2));
  mustBeBuilt();
  const say = (line) => console.error(`  ${line}`);
  const missing = flags.without.includes('queue') ? undefined : await missingQueue();
  if (missing) {
    say(`${missing} It is left out.`);
    flags.without.push('queue');
  }
  const run = { flags, scratch: makeScratch(flags.dir), say };
  const { dir, ...told } = flags;
  const results = {
    date: new Date().toISOString(),
    flags: told,
    machine: machine(),
    versions: versions(),
    load_average: [loadavg()[0]],
  };
  const wanted = (phase) => flags.only.includes(phase);
  if (wanted('steady')) {
    results.steady = await steadyPhase(run);
    console.log(`\n${steadyTable(results.steady)}\n`);
  }
  if (wanted('rates')) {
    results.rates = await ratesPhase(run);
    console.log(`\n${ratesTable(results.rates)}\n`);
  }
  if (wanted('questions')) {
    results.questions = await eventQuestionsPhase(run);
    console.log(`\n${pagesTable(results.questions)}\n`);
  }
  results.load_average.push(loadavg()[0]);
  results.targets = checkEventTargets(results);
  if (results.targets.length > 0) console.log(`${targetsTable(results.targets)}\n`);
  keepResults('events', results);
}

await runToEnd(main);
