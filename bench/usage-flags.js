/** What a run of the usage benchmark can be told; nothing needs to be. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { millions, names, whole } from './flags.js';

const WAYS = ['engine', 'http', 'application', 'triggers', 'view'];

const HELP = `
What keeping the aggregate of usage right costs by record, and what asking costs: Tallybook and three ways in PostgreSQL.

  npm --prefix bench run usage -- [flags]

  --sizes LIST      records held (100,1000,1000000)
  --without LIST    leave out ${WAYS.join(', ')}
  --rounds N        how often each way runs, in turn (1)
  --seconds N       time of a cell at most (10)
  --corrections N   corrections in one request, for sizes of at least as many (100000)
  --askings N       how often each question is asked at most (50)
  --aggregates N    instead: so many rows of the aggregate, such as 60m, and the questions (0)
  --dir DIR         where the files and databases of the run are made and removed (${tmpdir()})
  --help
`;

/** @param {string[]} argv */
export function readUsageFlags(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      sizes: { type: 'string', default: '100,1000,1000000' },
      without: { type: 'string', default: '' },
      rounds: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '10' },
      corrections: { type: 'string', default: '100000' },
      askings: { type: 'string', default: '50' },
      aggregates: { type: 'string', default: '0' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP.trim());
    process.exit(0);
  }
  return {
    sizes: values.sizes.split(',').map((size) => whole('sizes', millions(size), 100)),
    without: names('without', values.without, WAYS),
    rounds: whole('rounds', values.rounds, 1),
    seconds: whole('seconds', values.seconds, 1),
    corrections: whole('corrections', millions(values.corrections), 1),
    askings: whole('askings', values.askings, 1),
    aggregates: whole('aggregates', millions(values.aggregates), 0),
    dir: values.dir,
  };
}
