/**
 * What a run can be told. Everything has a default, so that no flag is needed; every number is checked, so
 * that a slip of the finger does not cost an hour.
 */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

export const PHASES = ['import', 'http', 'questions'];

export const CONTESTANTS = ['tallybook', 'postgres', 'postgres-first-load', 'sqlite', 'clickhouse'];

const HELP = `
Compares Tallybook with its peers and its floors, on this machine, in this run.

  npm --prefix bench run ledger -- [flags]

  --rows N          records in the imported file (5000000)
  --rounds N        how often each contestant runs, in turn (3)
  --only LIST       of ${PHASES.join(', ')} (all)
  --without LIST    leave out ${CONTESTANTS.join(', ')}
  --seconds N       how long each HTTP load is measured (8)
  --prefill N       records in the ledger before the HTTP loads start (0)
  --askings N       how often each question is asked (100)
  --dir DIR         where the files and databases of the run are made and removed (${tmpdir()})
  --help
`;

/** @param {string[]} argv */
export function readFlags(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      rows: { type: 'string', default: '5000000' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string', default: PHASES.join(',') },
      without: { type: 'string', default: '' },
      seconds: { type: 'string', default: '8' },
      prefill: { type: 'string', default: '0' },
      askings: { type: 'string', default: '100' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP.trim());
    process.exit(0);
  }
  return {
    rows: whole('rows', values.rows, 1_000),
    rounds: whole('rounds', values.rounds, 1),
    only: names('only', values.only, PHASES),
    without: names('without', values.without, CONTESTANTS),
    seconds: whole('seconds', values.seconds, 1),
    prefill: whole('prefill', values.prefill, 0),
    askings: whole('askings', values.askings, 1),
    dir: values.dir,
  };
}

export function whole(flag, text, least) {
  const number = Number(text.replaceAll('_', ''));
  if (!Number.isSafeInteger(number) || number < least) {
    throw new Error(`--${flag} takes a whole number of at least ${least}; found "${text}"`);
  }
  return number;
}

export function names(flag, text, known) {
  const found = text.split(',').filter(Boolean);
  for (const name of found) {
    if (!known.includes(name)) throw new Error(`--${flag} takes of ${known.join(', ')}; found "${name}"`);
  }
  return found;
}

/** 60m is 60 million, 10k ten thousand. */
export function millions(text) {
  return text.trim().replace(/k$/i, '000').replace(/m$/i, '000000');
}
