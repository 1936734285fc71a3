/** `tallybook verify`, `compact`, `backup`: what keeps a ledger in order. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Check } from '../../engine/store.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, quietSetting } from '../config.ts';
import { connected } from '../connect.ts';
import { askJson, type Connection } from '../connection.ts';
import { counted, secondsFigure, secondsSince, wholeFigure } from '../figures.ts';
import { exitCodes } from '../outcome.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { print, printJson, style } from '../terminal.ts';

interface UpkeepSettings extends ConnectionSettings {
  json?: boolean;
  quiet?: boolean;
}

export function upkeepCommands(program: Command): void {
  const verify = program
    .command('verify')
    .description('recount everything from the ledger, and compare')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook verify || echo "something is wrong"

Every rollup must equal the sum over the ledger, every id must stand once, receipts must add up to the entries.`,
    )
    .action(verifyLedger);
  const compact = program
    .command('compact')
    .description('drop what is past its retention, and merge the rows of rollups')
    .addHelpText(
      'after',
      '\nExample:\n  $ tallybook compact\n\nA running server does this by itself once an hour.',
    )
    .action(compactLedger);
  const backup = program
    .command('backup')
    .description('copy the ledger into a new directory, while it is used')
    .argument('<dir>', "the directory to make; on the server's machine when one is running")
    .addHelpText(
      'after',
      '\nExample:\n  $ tallybook backup /backups/tallybook-2026-10-05\n\nThe copy is of one moment. "tallybook restore" makes a data directory of it.',
    )
    .action(backUp);
  for (const command of [verify, compact, backup]) {
    for (const option of [...connectionSettings(), jsonSetting(), quietSetting()]) command.addOption(option);
  }
}

/** Runs one request of which only the time is known, and says how long it has been running. */
async function atWork<T>(
  title: string,
  quiet: boolean | undefined,
  work: () => Promise<T>,
): Promise<{ result: T; seconds: number }> {
  const started = performance.now();
  const result = await withProgress(title, quiet, async (progress) => {
    const timer = setInterval(() => progress.update(undefined, ''), 250);
    return work().finally(() => clearInterval(timer));
  });
  return { result, seconds: secondsSince(started) };
}

async function verifyLedger(settings: UpkeepSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { result, seconds } = await atWork('verifying', settings.quiet, () => verification(connection));
    if (settings.json) printJson({ ...result, seconds });
    else printChecks(result.checks, seconds);
    if (!result.ok) process.exitCode = exitCodes.differences;
  });
}

export interface Verification {
  ok: boolean;
  checks: Check[];
}

export function verification(connection: Connection): Promise<Verification> {
  return askJson(connection, 'POST', '/v1/admin/verify');
}

export function printChecks(checks: Check[], seconds: number): void {
  const streams = [...new Set(checks.map(({ stream }) => stream))];
  const rows = streams.flatMap((stream) => {
    const ofStream = checks.filter((check) => check.stream === stream);
    const wrong = ofStream.filter(({ ok }) => !ok);
    if (wrong.length === 0) return [[stream, 'ok', counted(ofStream.length, 'check'), '']];
    return wrong.map(({ check, detail }) => [stream, 'DIFFERS', check, detail]);
  });
  print(table(['stream', '', 'checked', 'found'], rows));
  print();
  const wrong = checks.filter(({ ok }) => !ok).length;
  const found =
    wrong === 0
      ? style('green', 'no difference')
      : style('red', `${counted(wrong, 'check')} found a difference`);
  print(`${counted(checks.length, 'check')} in ${secondsFigure(seconds)}: ${found}`);
}

async function compactLedger(settings: UpkeepSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { result, seconds } = await atWork('compacting', settings.quiet, () =>
      askJson<{ dropped: number }>(connection, 'POST', '/v1/admin/compact'),
    );
    if (settings.json) printJson({ ...result, seconds });
    else
      print(
        `Compacted in ${secondsFigure(seconds)}; ${wholeFigure(result.dropped)} records past their retention were dropped.`,
      );
  });
}

async function backUp(directory: string, settings: UpkeepSettings): Promise<void> {
  await connected(settings, async (connection) => {
    // A server elsewhere has directories of its own; here the path is meant as the user sees it.
    const target = settings.url === undefined ? resolve(directory) : directory;
    const { seconds } = await atWork('backing up', settings.quiet, () =>
      askJson(connection, 'POST', '/v1/admin/backup', { body: { directory: target } }),
    );
    if (settings.json) printJson({ directory: target, seconds });
    else
      print(
        `Backed up into ${style('bold', target)} in ${secondsFigure(seconds)}; "tallybook restore ${directory} --data DIR" makes a data directory of it.`,
      );
  });
}
