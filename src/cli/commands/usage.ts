/** `tallybook usage`: commands of the usage system. */
import type { Command } from 'commander';
import { usageBackfillCommand } from './usage-backfill.ts';

export function usageCommands(program: Command): void {
  const usage = program
    .command('usage')
    .description('usage of telecom subscriptions: fill from tables that exist');
  for (const register of [usageBackfillCommand]) register(usage);
}
