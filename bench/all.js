/**
 * Every comparison in one go, sized for about a quarter of an hour on two cores, and what came out of it as
 * `RESULTS.md`. Each benchmark is the command of its own, with flags that are shown; what it compares, and why that is
 * fair, is in README.md.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readFlags, some } from './flags.js';
import { runToEnd, startResults } from './run.js';

const pageUrl = new URL('./RESULTS.md', import.meta.url);

const BENCHES = {
  ledger: {
    question:
      'What does it cost to keep every record, compare its id, keep the sums right and have it all on disk before the answer?',
    flags: ['--rounds', '2', '--seconds', '4', '--without', 'postgres-first-load', '--askings', '50'],
  },
  usage: {
    question: 'What does it cost by record to keep the aggregate of usage right?',
    flags: ['--sizes', '100,1000,100000', '--seconds', '4'],
  },
  events: {
    question:
      'What does it cost to take events in, beside a queue with a worker; and to read a page of them?',
    flags: ['--rounds', '2', '--seconds', '5', '--rows', '1m', '--held', '5m'],
  },
  reports: {
    question: 'What does it cost to take sales reports in, and to rank the catalogue?',
    flags: ['--lines', '5m'],
  },
  occupancy: {
    question: 'What does a count of people at any time cost?',
    flags: ['--passages', '3m', '--seconds', '5'],
  },
};

const said = {
  bench: 'all',
  about: 'Every benchmark, smaller than by itself, and a page with what came out.',
  // What is left out stays in the page as it was.
  flags: { only: some(Object.keys(BENCHES)) },
};

async function main() {
  const { only, dir } = readFlags(process.argv.slice(2), said);
  const { date, machine, versions, load_average: before } = startResults({ dir });
  const sections = sectionsBefore();
  for (const name of only) {
    const { question, flags } = BENCHES[name];
    const { output, failed } = await run(name, [...flags, '--dir', dir]);
    sections.set(
      name,
      [
        `## ${titleOf(name)}`,
        question,
        `    npm --prefix bench run ${name} -- ${flags.join(' ')}`,
        `On ${date.slice(0, 10)}, on a machine whose load was ${before.map((load) => load.toFixed(1)).join(', ')}.`,
        ...(failed === undefined
          ? []
          : [`**It ended with an error** (${failed}); what it printed until then:`]),
        `\`\`\`text\n${output.trim()}\n\`\`\``,
      ].join('\n\n'),
    );
  }
  const versionList = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const page = `# Results

Made by \`npm --prefix bench run all\`; not written by hand. A figure is the median of its rounds, with the least and the most behind it. Contestants run in turn on one machine; compare the ratios, not the times: machines differ, and so do their minutes. How each peer is set up is in [README.md](README.md) and in [contestants/](contestants/).

- ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB; ${machine.system}; Node.js ${machine.node}
- ${versionList.join(', ')}

${Object.keys(BENCHES)
  .flatMap((name) => sections.get(name) ?? [])
  .join('\n\n')}
`;
  writeFileSync(pageUrl, page);
}

const titleOf = (name) => name[0].toUpperCase() + name.slice(1);

/** The sections of the page as it is, by benchmark. */
function sectionsBefore() {
  const page = existsSync(pageUrl) ? readFileSync(pageUrl, 'utf8') : '';
  const parts = page.split(/^(?=## )/m);
  return new Map(
    Object.keys(BENCHES).flatMap((name) => {
      const part = parts.find((each) => each.startsWith(`## ${titleOf(name)}\n`));
      return part ? [[name, part.trim()]] : [];
    }),
  );
}

/** Runs a benchmark, shows what it prints, and gives it back. */
function run(name, flags) {
  const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [path, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ output, failed: code === 0 ? undefined : (signal ?? code) }),
    );
  });
}

await runToEnd(main);
