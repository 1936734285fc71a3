/** `tallybook query`: a question to a stream, answered as a table, as JSON or as CSV. */
import type { Command } from 'commander';
import { limits } from '../../engine/limits.ts';
import type { AsOf } from '../../engine/store.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting, wholeNumber } from '../config.ts';
import { connected } from '../connect.ts';
import { ask, pathOf } from '../connection.ts';
import { counted, secondsFigure, secondsSince } from '../figures.ts';
import { usageError } from '../outcome.ts';
import { type Selection, selectionQuery, selectionSettings } from '../selection.ts';
import { type TableCell, table } from '../table.ts';
import { note, print, style, write } from '../terminal.ts';

interface QuerySettings extends ConnectionSettings, Selection {
  measures?: string[];
  by?: string[];
  every?: string;
  having?: string[];
  order?: string[];
  limit?: number;
  fill?: string;
  json?: boolean;
  csv?: boolean;
}

export function queryCommand(program: Command): void {
  const command = program
    .command('query')
    .description('ask for sums, counts and the like')
    .argument('<stream>', 'the stream')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook query usage --measures "sum(price),count" --by type --every day --from 2026-10-01
  $ tallybook query usage --measures "sum(price)" --by subscription_id --having "sum(price)>10" --order "-sum(price)" --limit 20
  $ tallybook query usage --measures "sum(price)" --known-at 2026-11-01T00:00:00Z

The answer comes from the smallest rollup that can give it exactly, else from the ledger; below it stands from which,
and up to which commit it is complete.`,
    )
    .addOption(
      setting(
        '--measures <list>',
        'count, sum(f), min(f), max(f), avg(f), count_distinct(f); count when not given',
        { repeat: true },
      ),
    )
    .addOption(
      setting('--by <fields>', 'split by these fields; data.path into a json field', { repeat: true }),
    )
    .addOption(
      setting('--every <period>', 'split by periods', {
        choices: ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'all'],
      }),
    )
    .addOption(
      setting('--having <condition>', 'only rows such as "sum(price)>10"; may be repeated', { repeat: true }),
    )
    .addOption(
      setting('--order <columns>', 'order by these columns; -column for descending', { repeat: true }),
    )
    .addOption(
      setting('--limit <rows>', 'rows at most; 10000 when not given', {
        parse: wholeNumber(1, limits.answer_rows),
      }),
    )
    .addOption(
      setting('--fill <value>', 'zero: periods in which nothing happened are there too', {
        choices: ['zero'],
      }),
    );
  for (const option of [...selectionSettings(), ...connectionSettings(), jsonSetting()])
    command.addOption(option);
  command.addOption(setting('--csv', 'the answer as CSV')).action(query);
}

export interface JsonAnswer {
  rows: Record<string, TableCell>[];
  from: string;
  as_of: AsOf;
  more: boolean;
}

async function query(stream: string, settings: QuerySettings): Promise<void> {
  const { measures, by, every, having, order, limit, fill, json, csv } = settings;
  if (json && csv) throw usageError('--json and --csv exclude each other');
  await connected(settings, async (connection) => {
    const started = performance.now();
    const text = await ask(connection, 'GET', pathOf('v1', 'streams', stream, 'query'), {
      query: {
        ...selectionQuery(settings),
        measures,
        by,
        every,
        having,
        order,
        limit,
        fill,
        format: csv ? 'csv' : 'json',
      },
    });
    const seconds = secondsSince(started);
    if (csv) await write(text);
    else if (json) await write(`${text}\n`);
    else printAnswer(JSON.parse(text) as JsonAnswer, seconds);
  });
}

/** The rows, and under them where they come from. */
export function printAnswer(
  { rows, from, as_of, more }: JsonAnswer,
  seconds: number,
  { hints = true } = {},
): void {
  const columns = Object.keys(rows[0] ?? {});
  print(
    rows.length === 0
      ? 'no rows'
      : table(
          columns,
          rows.map((row) => columns.map((column) => row[column])),
        ),
  );
  if (hints) print();
  print(
    style(
      'dim',
      `${counted(rows.length, 'row')} in ${secondsFigure(seconds)}, from ${from}, as of batch ${as_of.batch} (${as_of.recorded_at})`,
    ),
  );
  if (more && hints) note('There are more rows; --limit lets more of them through.');
}
