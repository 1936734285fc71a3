/** What a run of the events benchmark can be told; nothing needs to be. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { millions, names, whole } from './flags.js';

export const PHASES = ['steady', 'rates', 'questions'];

const HELP = `
What it costs to take events in, when a question sees them, and what the first page of a list of them costs.

  npm --prefix bench run events -- [flags]

  --only LIST       of ${PHASES.join(', ')} (all)
  --without LIST    leave out queue: RabbitMQ and PostgreSQL
  --seconds N       how long each load is measured (15)
  --rounds N        how often each contestant runs under full load, in turn (3)
  --rows N          records in the file that is imported beside the steady load (5m)
  --held N          events that are held when questions are asked (50m)
  --askings N       how often each question is asked (50)
  --dir DIR         where the files and databases of the run are made and removed (${tmpdir()})
  --help
`;

/** @param {string[]} argv */
export function readEventsFlags(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string', default: PHASES.join(',') },
      without: { type: 'string', default: '' },
      seconds: { type: 'string', default: '15' },
      rounds: { type: 'string', default: '3' },
      rows: { type: 'string', default: '5m' },
      held: { type: 'string', default: '50m' },
      askings: { type: 'string', default: '50' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP.trim());
    process.exit(0);
  }
  return {
    only: names('only', values.only, PHASES),
    without: names('without', values.without, ['queue']),
    seconds: whole('seconds', values.seconds, 1),
    rounds: whole('rounds', values.rounds, 1),
    rows: whole('rows', millions(values.rows), 1_000),
    held: whole('held', millions(values.held), 30_000),
    askings: whole('askings', values.askings, 1),
    dir: values.dir,
  };
}
