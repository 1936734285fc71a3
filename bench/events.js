/**
 * What it costs to take events in: Tallybook beside a bare server and the classic way by a queue and a worker; and what
 * the first page of a list of events costs. Tables for people, and one line of JSON for `results/events.jsonl`.
 * README.md says more.
 */
import { missingQueue } from './contestants/queue-and-worker.js';
import { mustBeBuilt } from './contestants/tallybook.js';
import { pagesTable, ratesTable, steadyTable } from './events-report.js';
import { readFlags, some, whole, without } from './flags.js';
import { eventQuestionsPhase } from './phases/events-questions.js';
import { ratesPhase } from './phases/events-rates.js';
import { steadyPhase } from './phases/events-steady.js';
import { targetsTable } from './report.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';
import { checkEventTargets } from './targets.js';

const said = {
  bench: 'events',
  about:
    'What it costs to take events in, when a question sees them, and what the first page of a list of them costs.',
  flags: {
    only: some(['steady', 'rates', 'questions']),
    // RabbitMQ and PostgreSQL.
    without: without(['queue']),
    seconds: whole('15', 1, 'how long each load is measured'),
    rounds: whole('3', 1, 'how often each contestant runs under full load, in turn'),
    rows: whole('5m', 1_000, 'records in the file that is imported beside the steady load'),
    held: whole('50m', 30_000, 'events that are held when questions are asked'),
    askings: whole('50', 1, 'how often each question is asked'),
  },
};

async function main() {
  const flags = readFlags(process.argv.slice(2), said);
  mustBeBuilt();
  const say = (line) => console.error(`  ${line}`);
  const missing = flags.without.includes('queue') ? undefined : await missingQueue();
  if (missing) {
    say(`${missing} It is left out.`);
    flags.without.push('queue');
  }
  const run = { flags, scratch: makeScratch(flags.dir), say };
  const results = startResults(flags);
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
  results.targets = checkEventTargets(results);
  if (results.targets.length > 0) console.log(`${targetsTable(results.targets)}\n`);
  keepResults('events', results);
}

await runToEnd(main);
