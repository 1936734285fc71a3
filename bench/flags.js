/**
 * What a run can be told. Everything has a default, so that no flag is needed; every number is checked, so
 * that a slip of the finger does not cost an hour.
 */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

/** A flag that takes a whole number; 60m is 60 million, 10k ten thousand. */
export function whole(standard, least, about) {
  return { takes: 'N', standard, about, read: (flag, text) => wholeNumber(flag, text, least) };
}

/** A flag that takes several whole numbers. */
export function wholes(standard, least, about) {
  const read = (flag, text) => text.split(',').map((part) => wholeNumber(flag, part, least));
  return { takes: 'LIST', standard, about, read };
}

/** A flag that takes some of the names that are known; all of them when it is not given. */
export function some(known) {
  return { takes: 'LIST', standard: known.join(','), about: `of ${known.join(', ')}`, read: names(known) };
}

/** A flag that leaves out some of the names that are known. */
export function without(known) {
  return { takes: 'LIST', standard: '', about: `leave out ${known.join(', ')}`, read: names(known) };
}

/** Reads the flags of a benchmark, and `--dir`; with `--help` it prints them and ends. */
export function readFlags(argv, { bench, about, flags }) {
  const all = { ...flags, dir: directory };
  const options = Object.fromEntries(
    Object.entries(all).map(([name, { standard }]) => [name, { type: 'string', default: standard }]),
  );
  const { values } = parseArgs({ args: argv, options: { ...options, help: { type: 'boolean' } } });
  if (values.help) {
    console.log(helpText(bench, about, all));
    process.exit(0);
  }
  return Object.fromEntries(Object.entries(all).map(([name, { read }]) => [name, read(name, values[name])]));
}

const directory = {
  takes: 'DIR',
  standard: tmpdir(),
  about: 'where the files and databases of the run are made and removed',
  read: (_flag, text) => text,
};

function helpText(bench, about, flags) {
  const lines = Object.entries(flags).map(([name, flag]) => {
    const standard = flag.standard === '' ? 'none' : flag.standard;
    return `  ${`--${name} ${flag.takes}`.padEnd(17)} ${flag.about} (${standard})`;
  });
  return `${about}\n\n  npm --prefix bench run ${bench} -- [flags]\n\n${lines.join('\n')}\n  --help`;
}

function wholeNumber(flag, text, least) {
  const digits = text.trim().replaceAll('_', '').replace(/k$/i, '000').replace(/m$/i, '000000');
  const number = Number(digits);
  if (digits === '' || !Number.isSafeInteger(number) || number < least) {
    throw new Error(`--${flag} takes a whole number of at least ${least}, such as 60m; found "${text}"`);
  }
  return number;
}

function names(known) {
  return (flag, text) => {
    const found = text.split(',').filter(Boolean);
    for (const name of found) {
      if (!known.includes(name)) throw new Error(`--${flag} takes of ${known.join(', ')}; found "${name}"`);
    }
    return found;
  };
}
