/**
 * What a count of people costs at any time, and taking in their passages: Tallybook beside two ways that are usual with
 * PostgreSQL. A table for people, and one line of JSON for `results/occupancy.jsonl`. README.md says more.
 */
import { loadavg } from 'node:os';
import { mustBeBuilt } from './contestants/tallybook.js';
import { machine, versions } from './machine.js';
import { readOccupancyFlags } from './occupancy-flags.js';
import { inOwnProcess } from './own-process.js';
import { keepResults, runToEnd } from './run.js';
import { makeScratch } from './scratch.js';

const ms = (number) => `${number.toFixed(number < 10 ? 1 : 0)} ms`;
const times = ({ p50_ms, p99_ms }) => `${ms(p50_ms).padStart(9)} ${ms(p99_ms).padStart(9)}`;

await runToEnd(async () => {
  const flags = readOccupancyFlags(process.argv.slice(2));
  mustBeBuilt();
  const scratch = makeScratch(flags.dir);
  const { dir, ...told } = flags;
  const results = {
    date: new Date().toISOString(),
    flags: told,
    machine: machine(),
    versions: versions(),
    load_average: [loadavg()[0]],
  };
  const phase = (name, function_) =>
    scratch.inNewDirectory((dir) => inOwnProcess(`phases/${name}.js`, function_, { dir, flags }));
  console.log(`${''.padEnd(34)} ${'p50'.padStart(9)} ${'p99'.padStart(9)}`);
  if (!flags.without.includes('tallybook')) {
    const found = await phase('occupancy-tallybook', 'measureOccupancy');
    results.tallybook = found;
    console.log(`Tallybook, ${found.passages} passages`);
    console.log(`  one space at a time              ${times(found.count)}`);
    console.log(`  all spaces at a time             ${times(found.all)}`);
    console.log(`  a passage, and the count after   ${times(found.live)}`);
    console.log(
      `  passages over HTTP               ${found.sent.per_second}/s with ${found.sent.cores} cores`,
    );
    console.log(
      `  at ${flags.rate}/s                     ${found.at_rate.per_second}/s with ${found.at_rate.cores} cores`,
    );
  }
  if (!flags.without.includes('postgres')) {
    const found = await phase('occupancy-postgres', 'measurePostgres');
    results.postgres = found;
    console.log(`PostgreSQL, ${found.passages} passages`);
    for (const way of ['sum', 'running']) {
      console.log(`  one space, ${way.padEnd(22)} ${times(found[way].count)}`);
      console.log(`  all spaces, ${way.padEnd(21)} ${times(found[way].all)}`);
    }
  }
  results.load_average.push(loadavg()[0]);
  keepResults('occupancy', results);
});
