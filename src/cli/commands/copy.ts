/**
 * `tallybook copy`: moves a ledger from one store into another, with its ids, its history and its rollups, and compares
 * the two. Stopped half-way, it goes on where it was.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CopiesLedger } from '../../engine/copied-ledger.ts';
import { type Comparison, compareLedgers, copyLedger } from '../../engine/ledger-copy.ts';
import type { Check, Store } from '../../engine/store.ts';
import { directoryOf, ledgerIn, openPlace, type Place } from '../compose.ts';
import {
  jsonSetting,
  memorySize,
  placeSetting,
  quietSetting,
  setting,
  systemsSetting,
  wholeNumber,
} from '../config.ts';
import { counted, secondsSince, wholeFigure } from '../figures.ts';
import { interruptible } from '../interrupt.ts';
import { exitCodes, usageError } from '../outcome.ts';
import { type Progress, withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { note, print, printJson, style } from '../terminal.ts';
import { printChecks } from './upkeep.ts';

interface CopySettings {
  from: string;
  to: string;
  memory?: string;
  threads?: number;
  systems?: string[];
  json?: boolean;
  quiet?: boolean;
}

export function copyCommand(program: Command): void {
  const command = program
    .command('copy')
    .description('copy a ledger into another store, and compare the two')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook copy --from duckdb:./tallybook-data --to clickhouse://user:password@db.internal:8123/tallybook

Everything goes along: entries with their order and times, rejects, imports, keys, streams, alerts. No server
may be running on either. Stopped half-way, the same command goes on where it was; the place it copies to
must be empty else. At the end it verifies the copy, and compares counts and sums of every stream.`,
    );
  for (const option of [
    placeSetting('--from <place>', 'the ledger to copy: duckdb:DIR or clickhouse://…').makeOptionMandatory(),
    placeSetting('--to <place>', 'where to: duckdb:DIR or clickhouse://…').makeOptionMandatory(),
    setting('--memory <size>', 'what a database in a directory may use, such as 2GB', { parse: memorySize }),
    setting('--threads <number>', 'threads of a database in a directory; all cores when not given', {
      parse: wholeNumber(1, 1024),
    }),
    systemsSetting(),
    jsonSetting(),
    quietSetting(),
  ])
    command.addOption(option);
  command.action(copy);
}

interface Outcome {
  /** Whether this run has copied anything: a copy that is complete is compared alone. */
  copied: boolean;
  checks: Check[];
  streams: Comparison[];
}

async function copy({ from, to, memory, threads, systems, json, quiet }: CopySettings): Promise<void> {
  const [source, target] = [from, to].map((address) => ({
    address,
    memoryLimit: memory,
    threads,
    systems,
  })) as [Place, Place];
  if (sameness(source) === sameness(target)) throw usageError(`--from and --to both name ${from}`);
  const started = performance.now();
  const { copied, checks, streams } = await withProgress('copying', quiet, (progress) =>
    interruptible((signal) => copyAndCompare(source, target, progress, signal)),
  );
  const seconds = secondsSince(started);
  const ok = checks.every((check) => check.ok) && streams.every(({ same }) => same);
  if (json) printJson({ ok, copied, streams, checks, seconds });
  else {
    printComparisons(streams);
    print();
    printChecks(checks, seconds);
    const what = copied ? 'Copied' : 'Was copied already';
    if (ok) print(`${what}: ${style('bold', withoutSecrets(to))} holds the same as ${withoutSecrets(from)}.`);
  }
  if (!ok) {
    process.exitCode = exitCodes.differences;
    note('The copy differs from its original; it was left for you to look at.');
  }
}

const sameness = (place: Place): string => {
  const directory = directoryOf(place);
  return directory === undefined ? place.address : resolve(directory);
};

function withoutSecrets(address: string): string {
  return address.replace(/\/\/[^/@]*@/, '//');
}

async function copyAndCompare(
  source: Place,
  target: Place,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome> {
  return opened(source, false, async (original) => {
    const from = await ledgerIn(original, source);
    const copied = await opened(target, true, (filled) =>
      copyLedger(
        from,
        filled,
        ({ done, of }) =>
          progress.update(of === 0 ? 1 : done / of, `${wholeFigure(done)} of ${counted(of, 'row')}`),
        signal,
      ),
    );
    progress.update(1, 'verifying');
    return opened(target, false, async (copy) => {
      const to = await ledgerIn(copy, target);
      return { copied, checks: await copy.verify(), streams: await compareLedgers(from, to) };
    });
  });
}

async function opened<T>(
  place: Place,
  toFill: boolean,
  work: (store: Store & CopiesLedger) => Promise<T>,
): Promise<T> {
  const store = await openPlace(place, toFill);
  return work(store).finally(() => store.close());
}

/** Streams that hold nothing, on either side, are left out. */
function printComparisons(streams: Comparison[]): void {
  const told = streams.filter(({ entries, repeats }) => [...entries, ...repeats].some((count) => count > 0));
  const both = <T>([original, copy]: [T, T], text: (value: T) => string): string =>
    original === copy ? text(original) : `${text(original)} / ${text(copy)}`;
  const rows = told.map(({ stream, same, records, entries, repeats, sums, differing }) => [
    stream,
    same ? 'same' : 'DIFFERS',
    both(records, (count) => wholeFigure(Number(count))),
    both(entries, wholeFigure),
    both(repeats, wholeFigure),
    differing.length > 0 ? differing.join(', ') : sums === 0 ? '-' : `${sums} equal`,
  ]);
  print(table(['stream', '', 'records', 'entries', 'repeats', 'sums'], rows));
}
