/**
 * Phase import: the same file into every contestant, in turn, round after round, so that a slow minute of the
 * machine hits all of them. Each runs in a process and a directory of its own, after the disks have been
 * written out. The sums of each are compared with the file's.
 */
import { execFileSync } from 'node:child_process';
import { inOwnProcess } from '../own-process.js';
import { mustEqual } from '../sums.js';

/** Names are modules in `contestants/`. The floor comes first: it knows the right sums. */
const IN_TURN = ['floor', 'tallybook', 'postgres', 'postgres-first-load', 'sqlite', 'clickhouse'];

/**
 * @param {{flags: any, scratch: any, say: (line: string) => void}} run
 * @returns {Promise<Record<string, any[]>>} by contestant, one result a round
 */
export async function importPhase({ flags, scratch, say }) {
  say(`making a file of ${flags.rows} records`);
  const file = await scratch.file({ rows: flags.rows, prefix: 'rec_' });
  const again = scratch.headOf(file);
  let contestants = IN_TURN.filter((name) => !flags.without.includes(name));
  /** @type {Record<string, any[]>} */
  const results = Object.fromEntries(contestants.map((name) => [name, []]));
  for (let round = 1; round <= flags.rounds; round++) {
    for (const name of contestants) {
      execFileSync('sync');
      const result = await scratch
        .inNewDirectory((dir) =>
          inOwnProcess(`contestants/${name}.js`, 'importFile', { file, again, dir, rows: flags.rows }),
        )
        .catch((error) => {
          if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
          say(`import: ${name} LEFT OUT, its package is not installed on this machine`);
        });
      if (!result) {
        contestants = contestants.filter((each) => each !== name);
        delete results[name];
        continue;
      }
      const { sums, ...figures } = result;
      if (name === 'floor' && sums.records !== flags.rows)
        throw new Error(`the file has ${sums.records} records`);
      mustEqual(name, sums, results.floor[0]?.sums ?? sums);
      results[name].push(name === 'floor' ? result : figures);
      say(`import, round ${round}: ${name} ${result.seconds.toFixed(2)} s`);
    }
  }
  scratch.remove(file);
  return results;
}
