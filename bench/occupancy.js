/**
 * What a count of people costs at any time, and taking in their passages: Tallybook beside two ways that are usual with
 * PostgreSQL. A table for people, and one line of JSON for `results/occupancy.jsonl`. README.md says more.
 */
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags, whole, without } from './flags.js';
import { inOwnProcess } from './own-process.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';

const said = {
  bench: 'occupancy',
  about:
    'What a count of people costs at any time, and taking in their passages: Tallybook, and two ways in PostgreSQL.',
  flags: {
    passages: whole('3m', 1, 'passages held; 100m is what a large building has in a month'),
    sensors: whole('100k', 1, 'sensors'),
    spaces: whole('20k', 1, 'spaces'),
    askings: whole('300', 1, 'counts that are asked, each at another time'),
    seconds: whole('10', 1, 'of sending passages over HTTP'),
    rate: whole('10000', 1, 'passages a second while the use of the processor is measured'),
    postgres: whole('3m', 1, 'passages held by PostgreSQL, at most: each is one or two steps there'),
    without: without(['tallybook', 'postgres']),
  },
};

const ms = (number) => `${number.toFixed(number < 10 ? 1 : 0)} ms`;
const times = ({ p50_ms, p99_ms, processor_ms }) =>
  `${ms(p50_ms).padStart(9)} ${ms(p99_ms).padStart(9)}${processor_ms === undefined ? '' : ` ${ms(processor_ms).padStart(9)}`}`;

await runToEnd(async () => {
  const flags = readFlags(process.argv.slice(2), said);
  mustBeBuilt();
  const scratch = makeScratch(flags.dir);
  const results = startResults(flags);
  const phase = (name, function_) =>
    scratch.inNewDirectory((dir) => inOwnProcess(`phases/${name}.js`, function_, { dir, flags }));
  console.log(`${''.padEnd(34)} ${'p50'.padStart(9)} ${'p99'.padStart(9)} ${'processor'.padStart(9)}`);
  if (!flags.without.includes('tallybook')) {
    const found = await phase('occupancy-tallybook', 'measureOccupancy');
    results.tallybook = found;
    console.log(`Tallybook, ${found.passages} passages`);
    console.log(`  one space, first askings         ${times(found.count_first)}`);
    console.log(`  one space at a time              ${times(found.count)}`);
    console.log(`  all spaces at a time             ${times(found.all)}`);
    console.log(`  a passage, its commit            ${times(found.live.commit)}`);
    console.log(`  a passage, and the count after   ${times(found.live)}`);
    console.log(
      `  passages in bodies of 500        ${found.sent.per_second}/s with ${found.sent.cores} cores`,
    );
    console.log(
      `  at ${flags.rate}/s                     ${found.at_rate.per_second}/s with ${found.at_rate.cores} cores`,
    );
    console.log(`  one space, after all of these    ${times(found.count_after)}`);
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
  keepResults('occupancy', results);
});
