/** What every benchmark does around its phases. */
import { appendFileSync, mkdirSync } from 'node:fs';

/** Appends the results of a run as one line of JSON to `results/NAME.jsonl`. */
export function keepResults(name, results) {
  const path = new URL(`./results/${name}.jsonl`, import.meta.url);
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
