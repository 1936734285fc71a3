/** What a run of the reports benchmark can be told; nothing needs to be. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { names, whole } from './flags.js';
import { millions } from './usage-flags.js';

const HELP = `
What it costs to take sales reports in, and to ask for the top of the catalogue.

  npm --prefix bench run reports -- [flags]

  --lines N         lines of all reports (10m)
  --recordings N    recordings that they are of (a tenth of the lines; a twentieth above 10m)
  --reports N       files that they come in (10)
  --without LIST    leave out postgres
  --rounds N        how often each contestant runs, in turn (1)
  --askings N       how often the question is asked (5)
  --dir DIR         where the files and databases of the run are made and removed (${tmpdir()})
  --help
`;

/** @param {string[]} argv */
export function readReportsFlags(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      lines: { type: 'string', default: '10m' },
      recordings: { type: 'string' },
      reports: { type: 'string', default: '10' },
      without: { type: 'string', default: '' },
      rounds: { type: 'string', default: '1' },
      askings: { type: 'string', default: '5' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP.trim());
    process.exit(0);
  }
  const lines = whole('lines', millions(values.lines), 1_000);
  const recordings = String(Math.ceil(lines / (lines > 10_000_000 ? 20 : 10)));
  return {
    lines,
    recordings: whole('recordings', millions(values.recordings ?? recordings), 1),
    reports: whole('reports', values.reports, 1),
    without: names('without', values.without, ['postgres']),
    rounds: whole('rounds', values.rounds, 1),
    askings: whole('askings', values.askings, 1),
    dir: values.dir,
  };
}
