/** `tallybook usage`: what subscriptions used, who reached a limit, how much of their allowances is gone. */
import type { Command } from 'commander';
import { usageTypes } from '../../systems/usage/declarations.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting, wholeNumber } from '../config.ts';
import { connected } from '../connect.ts';
import { accepted, type Query } from '../connection.ts';
import { type TableCell, table } from '../table.ts';
import { note, print, write } from '../terminal.ts';
import { usageBackfillCommand } from './usage-backfill.ts';

interface ListSettings extends ConnectionSettings {
  limit: number;
  json?: boolean;
}
interface UsageSettings extends ListSettings {
  type?: string;
  subscription?: string;
  from?: string;
  to?: string;
}
interface AllowancesSettings extends ListSettings {
  month?: string;
}

export function usageCommands(program: Command): void {
  const usage = program
    .command('usage')
    .description('usage of telecom subscriptions: who exceeds, what was used, allowances');
  usageBackfillCommand(usage);
  const exceeding = usage
    .command('exceeding')
    .description('list the subscriptions that reached a limit on data or on voice, the worst first')
    .argument('<amount>', 'the limit, such as 10.00')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook usage exceeding 10.00 --from 2026-10-01 --to 2026-10-31`,
    )
    .action(listExceeding);
  const metrics = usage
    .command('metrics')
    .description('list what every subscription used: price, kilobytes or seconds, records')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook usage metrics --subscription 8047 --from 2026-10-01 --to 2026-10-31`,
    )
    .action(listMetrics);
  const allowances = usage
    .command('allowances')
    .description('list how much of their plans subscriptions have used in a month, the most used first')
    .addHelpText('after', '\nExample:\n  $ tallybook usage allowances --month 2026-10')
    .addOption(setting('--month <month>', 'such as 2026-10; the current one when not given'))
    .action(listAllowances);
  for (const command of [exceeding, metrics]) {
    command
      .addOption(setting('--type <name>', 'only this type of usage', { choices: usageTypes }))
      .addOption(setting('--subscription <id>', 'only this subscription'))
      .addOption(setting('--from <day>', 'the first day, such as 2026-10-01'))
      .addOption(setting('--to <day>', 'the last day; it is counted, too'));
  }
  for (const command of [exceeding, metrics, allowances]) {
    command.addOption(
      setting('--limit <rows>', 'subscriptions at most', { default: 100, parse: wholeNumber(1, 1_000) }),
    );
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
  }
}

interface Exceeding {
  subscription_id: string;
  exceeded: { type: string; total_price: string; exceeded_by: string }[];
}

function listExceeding(limit: string, settings: UsageSettings): Promise<void> {
  return list<Exceeding>(
    '/v1/usage/exceeding',
    { limit, ...selection(settings) },
    settings,
    ['subscription', 'type', 'total price', 'exceeded by'],
    ({ subscription_id, exceeded }) =>
      exceeded.map(({ type, total_price, exceeded_by }) => [subscription_id, type, total_price, exceeded_by]),
  );
}

interface Metrics {
  subscription_id: string;
  usage: { type: string; total_price: string; total_used: string; records: number }[];
}

function listMetrics(settings: UsageSettings): Promise<void> {
  return list<Metrics>(
    '/v1/usage/metrics',
    selection(settings),
    settings,
    ['subscription', 'type', 'total price', 'total used', 'records'],
    ({ subscription_id, usage }) =>
      usage.map(({ type, total_price, total_used, records }) => [
        subscription_id,
        type,
        total_price,
        total_used,
        records,
      ]),
  );
}

interface Allowance {
  subscription_id: string;
  plan: string | null;
  used: string;
  data_available: string | null;
  used_percent: string | null;
}

function listAllowances(settings: AllowancesSettings): Promise<void> {
  return list<Allowance>(
    '/v1/usage/allowances',
    { month: settings.month },
    settings,
    ['subscription', 'plan', 'used', 'available', 'per cent'],
    ({ subscription_id, plan, used, data_available, used_percent }) => [
      [subscription_id, plan, used, data_available, used_percent],
    ],
  );
}

const selection = ({ type, subscription, from, to }: UsageSettings): Query => ({
  type,
  subscription_id: subscription,
  from,
  to,
});

/** The first page of a list, as a table with some rows for each element, or as the JSON that came. */
async function list<T>(
  path: string,
  query: Query,
  settings: ListSettings,
  columns: string[],
  rowsOf: (element: T) => TableCell[][],
): Promise<void> {
  await connected(settings, async (connection) => {
    const paged = { ...query, page_size: settings.limit };
    const reply = accepted(await connection.request('GET', path, { query: paged }));
    if (settings.json) return write(`${reply.text}\n`);
    const elements = JSON.parse(reply.text) as T[];
    if (elements.length === 0) note('No subscription is in this list.');
    else print(table(columns, elements.flatMap(rowsOf)));
    if (reply.next) note(`These are the first ${settings.limit}; --limit shows more, at most 1,000.`);
  });
}
