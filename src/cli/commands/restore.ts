/**
 * `tallybook restore`: makes a data directory of a backup, and verifies it. The directory gets its ledger whole or not
 * at all.
 */
import { constants, createReadStream, createWriteStream, existsSync } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { TallybookError } from '../../engine/errors.ts';
import { holdsLedger, ledgerFile, lockName } from '../compose.ts';
import { jsonSetting, type LedgerSettings, ledgerSettings, quietSetting } from '../config.ts';
import { bytesFigure, secondsFigure, secondsSince } from '../figures.ts';
import { connectInProcess } from '../in-process.ts';
import { interruptible } from '../interrupt.ts';
import { commandLog } from '../log.ts';
import { exitCodes } from '../outcome.ts';
import { type Progress, withProgress } from '../progress.ts';
import { note, print, printJson, style } from '../terminal.ts';
import { printChecks, verification } from './upkeep.ts';

interface RestoreSettings extends LedgerSettings {
  json?: boolean;
  quiet?: boolean;
}

export function restoreCommand(program: Command): void {
  const command = program
    .command('restore')
    .description('make a data directory of a backup, and verify it')
    .argument('<from>', 'the directory that "tallybook backup" made')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook restore /backups/tallybook-2026-10-05 --data ./restored

The data directory must be empty or not there. Keys are those of the backup; while no server runs,
"tallybook keys add admin --data DIR" makes a new one.`,
    );
  for (const option of [...ledgerSettings(), jsonSetting(), quietSetting()]) command.addOption(option);
  command.action(restore);
}

async function restore(from: string, settings: RestoreSettings): Promise<void> {
  const { data, memory, threads, systems, json, quiet } = settings;
  await checkBackup(from);
  await checkTarget(data);
  const started = performance.now();
  const found = await withProgress('restoring', quiet, async (progress) => {
    await interruptible((signal) => copyIntoEmpty(from, data, progress, signal));
    progress.update(1, 'verifying');
    const connection = await connectInProcess({
      directory: data,
      memoryLimit: memory,
      threads,
      systems,
      log: commandLog(),
    });
    return verification(connection).finally(() => connection.close());
  });
  const seconds = secondsSince(started);
  if (json) printJson({ from, data, ...found, seconds });
  else {
    printChecks(found.checks, seconds);
    print(`Restored into ${style('bold', data)} in ${secondsFigure(seconds)}.`);
  }
  if (!found.ok) {
    process.exitCode = exitCodes.differences;
    note('The backup holds differences; the data directory was left for you to look at.');
  }
}

async function checkBackup(from: string): Promise<void> {
  if (!holdsLedger(from)) {
    throw new TallybookError(
      'directory_unusable',
      `${from} holds no backup; expected ${ledgerFile(from)}, as "tallybook backup" makes it`,
    );
  }
  const besides = [`${ledgerFile(from)}.wal`, join(from, 'journal-0')];
  if (besides.some((path) => existsSync(path))) {
    throw new TallybookError(
      'directory_unusable',
      `${from} is a data directory with a log of its own, not a backup; take a backup of it with "tallybook backup DIR --data ${from}"`,
    );
  }
}

async function checkTarget(data: string): Promise<void> {
  await mkdir(data, { recursive: true, mode: 0o700 });
  const names = (await readdir(data)).filter((name) => name !== lockName);
  if (names.length > 0) {
    throw new TallybookError(
      'directory_unusable',
      `${data} is not empty (${names.slice(0, 3).join(', ')}); restore into a new directory, named with --data`,
    );
  }
}

/** Nobody may begin a ledger there meanwhile. */
async function copyIntoEmpty(
  from: string,
  data: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { lockDirectory } = await import('../../stores/duckdb/directory-lock.ts');
  const lock = await lockDirectory(data, lockName);
  try {
    await checkTarget(data);
    await copyLedger(from, data, progress, signal);
  } finally {
    lock.letGo();
  }
}

async function copyLedger(
  from: string,
  data: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const unfinished = `${ledgerFile(data)}.unfinished`;
  try {
    await copyWithProgress(ledgerFile(from), unfinished, progress, signal);
    const file = await open(unfinished, 'r+');
    await file.sync().finally(() => file.close());
    await rename(unfinished, ledgerFile(data));
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function copyWithProgress(
  from: string,
  to: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  // On a file system that can, the copy shares its blocks with the original, and is there at once.
  const cloned = await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  );
  if (cloned) return;
  const { size } = await stat(from);
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      progress.update(bytes / size, `${bytesFigure(bytes)} of ${bytesFigure(size)}`);
      done(null, chunk);
    },
  });
  const buffer = { highWaterMark: 1 << 20 };
  await pipeline(createReadStream(from, buffer), count, createWriteStream(to, { ...buffer, mode: 0o600 }), {
    signal,
  });
}
