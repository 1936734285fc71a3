/** What every benchmark does around its phases. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { machine, versions } from './machine.js';

/** What is kept of every run beside its figures. */
export function startResults({ dir: _, ...flags }) {
  return {
    date: new Date().toISOString(),
    flags,
    machine: machine(),
    versions: versions(),
    // A run beside other work tells it: more is waiting for the processors than there are of them.
    load_average: [loadavg()[0]],
  };
}

/** Appends the results of a run as one line of JSON to `results/NAME.jsonl`. */
export function keepResults(name, results) {
  const path = new URL(`./results/${name}.jsonl`, import.meta.url);
  results.load_average.push(loadavg()[0]);
  mkdirSync(new URL('.', path), { recursive: true });
  appendFileSync(path, `${JSON.stringify(results)}\n`);
}

/** Runs a benchmark; an error ends it with its message, not with a stack. */
export async function runToEnd(main) {
  try {
    await main();
  } catch (error) {
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}
