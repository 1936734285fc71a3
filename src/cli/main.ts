/**
 * The command: its parts are registered by hand, in one visible list. What it prints on stdout is the result; what it
 * tells about it, errors too, goes to stderr; how it ended is in the exit code (outcome.ts).
 */
import { Command } from 'commander';
import { alertsCommands } from './commands/alerts.ts';
import { copyCommand } from './commands/copy.ts';
import { demoCommand } from './commands/demo.ts';
import { explainCommand } from './commands/explain.ts';
import { exportCommand } from './commands/export.ts';
import { importCommand } from './commands/import.ts';
import { importsCommands } from './commands/imports.ts';
import { keysCommands } from './commands/keys.ts';
import { occupancyCommands } from './commands/occupancy.ts';
import { postgresCommands } from './commands/postgres.ts';
import { queryCommand } from './commands/query.ts';
import { recordsCommands } from './commands/records.ts';
import { rejectsCommands } from './commands/rejects.ts';
import { reportsCommands } from './commands/reports.ts';
import { restoreCommand } from './commands/restore.ts';
import { serveCommand } from './commands/serve.ts';
import { streamsCommands } from './commands/streams.ts';
import { upkeepCommands } from './commands/upkeep.ts';
import { usageCommands } from './commands/usage.ts';
import { webhooksCommands } from './commands/webhooks.ts';
import { version } from './compose.ts';
import { readEnvironment, wantsJson } from './config.ts';
import { exitCodesHelp, fail } from './outcome.ts';
import { leaveWhenNobodyReads } from './terminal.ts';

/** Runs the command line and sets `process.exitCode`. */
export async function run(argv: string[]): Promise<void> {
  leaveWhenNobodyReads();
  const json = wantsJson(argv);
  try {
    await program(json).parseAsync(argv);
  } catch (error) {
    fail(error, json);
  }
}

/** `json`: what Commander would say of a wrong command line is said by outcome.ts. */
export function program(json = false): Command {
  const command = new Command('tallybook')
    .description('A ledger for high volumes of small facts that keeps the sums exactly right.')
    .version(version(), '--version', 'the version')
    .helpOption('-h, --help', 'help for a command')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput(json ? { writeErr: () => undefined } : {})
    .addHelpText(
      'after',
      `
Start with:
  $ tallybook demo                 sees it work, on records made up for it
  $ tallybook serve                an empty ledger in ./tallybook-data

Every option can be given as a variable too; --help of a command names them.${exitCodesHelp}`,
    );
  readEnvironment(command);
  for (const register of [
    demoCommand,
    serveCommand,
    streamsCommands,
    importCommand,
    importsCommands,
    queryCommand,
    explainCommand,
    recordsCommands,
    exportCommand,
    rejectsCommands,
    alertsCommands,
    webhooksCommands,
    keysCommands,
    usageCommands,
    reportsCommands,
    occupancyCommands,
    postgresCommands,
    upkeepCommands,
    restoreCommand,
    copyCommand,
  ]) {
    register(command);
  }
  return command;
}
