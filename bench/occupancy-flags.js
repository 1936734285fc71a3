/** What a run of the occupancy benchmark can be told; nothing needs to be. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { millions, names, whole } from './flags.js';

const WAYS = ['tallybook', 'postgres'];

const HELP = `
What a count of people costs at any time, and taking in their passages: Tallybook, and two ways in PostgreSQL.

  npm --prefix bench run occupancy -- [flags]

  --passages N      passages held (3m); 100m is what a large building has in a month
  --sensors N       sensors (100k)
  --spaces N        spaces (20k)
  --askings N       counts that are asked, each at another time (300)
  --seconds N       of sending passages over HTTP (10)
  --rate N          passages a second while the use of the processor is measured (10000)
  --postgres N      passages held by PostgreSQL, at most (3m): each is one or two steps there
  --without LIST    leave out ${WAYS.join(', ')}
  --dir DIR         where the files and databases of the run are made and removed (${tmpdir()})
  --help
`;

/** @param {string[]} argv */
export function readOccupancyFlags(argv) {
  const numbers = {
    passages: '3m',
    sensors: '100k',
    spaces: '20k',
    askings: '300',
    seconds: '10',
    rate: '10000',
    postgres: '3m',
  };
  const { values } = parseArgs({
    args: argv,
    options: {
      ...Object.fromEntries(
        Object.entries(numbers).map(([name, value]) => [name, { type: 'string', default: value }]),
      ),
      without: { type: 'string', default: '' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP.trim());
    process.exit(0);
  }
  return {
    ...Object.fromEntries(Object.keys(numbers).map((name) => [name, whole(name, millions(values[name]), 1)])),
    without: names('without', values.without, WAYS),
    dir: values.dir,
  };
}
