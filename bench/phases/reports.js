/**
 * The same reports into every contestant, in turn, each in a process and a directory of its own; then the top of the
 * catalogue. The sums of each are compared with the files', and the answers with each other.
 */
import { execFileSync } from 'node:child_process';
import { inOwnProcess } from '../own-process.js';

/** The floor comes first: it knows the right sums. */
const IN_TURN = ['floor', 'tallybook', 'postgres'];

export const PERCENT = 10;

/**
 * @param {{flags: any, scratch: any, say: (line: string) => void}} run
 * @returns {Promise<Record<string, any[]>>} by contestant, one result a round
 */
export function reportsPhase({ flags, scratch, say }) {
  const { lines, recordings, askings } = flags;
  return scratch.inNewDirectory(async (made) => {
    say(`making ${flags.reports} reports of ${lines} lines in all, about ${recordings} recordings`);
    const what = { dir: made, lines, recordings, reports: flags.reports };
    const reports = await inOwnProcess('made-reports.js', 'makeReports', what);
    const contestants = IN_TURN.filter((name) => !flags.without.includes(name));
    const results = Object.fromEntries(contestants.map((name) => [name, []]));
    let right;
    for (let round = 1; round <= flags.rounds; round++) {
      for (const name of contestants) {
        execFileSync('sync');
        const { sums, top, ...figures } = await scratch.inNewDirectory((dir) =>
          inOwnProcess(`contestants/reports-${name}.js`, 'takeIn', {
            reports,
            dir,
            percent: PERCENT,
            askings,
          }),
        );
        right ??= { sums: plain(sums) };
        mustBe(`${name}: the sums`, plain(sums), right.sums);
        if (top) {
          right.top ??= top;
          mustBe(`${name}: the top ${PERCENT} per cent`, top, right.top);
        }
        results[name].push({ ...figures, resources: top?.length });
        say(`round ${round}: ${name} ${figures.seconds.toFixed(2)} s`);
      }
    }
    return results;
  });
}

/** Numbers alike, whichever way they are written: 1.50 and 1.5. */
function plain(sums) {
  const cut = (text) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  return { ...sums, revenue: cut(sums.revenue) };
}

function mustBe(what, found, right) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(right)];
  if (a !== b) throw new Error(`${what} differ: found ${a.slice(0, 300)}, expected ${b.slice(0, 300)}`);
}
