/** `tallybook postgres compare`: what each way of keeping an aggregate costs, on the user's own server. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Cell, compare, dropScratchSchemas, newScratchSchema } from '../../postgres/compare.ts';
import type { PreparedSession } from '../../postgres/compare-ways.ts';
import { jsonSetting, listOf, quietSetting, setting, wholeNumber } from '../config.ts';
import { wholeFigure } from '../figures.ts';
import { interruptible } from '../interrupt.ts';
import { type Postgres, postgresSetting, withPostgres } from '../postgres-connection.ts';
import { table } from '../table.ts';
import { note, print, printJson } from '../terminal.ts';

interface CompareSettings {
  postgres?: string;
  records: number[];
  subscriptions: number;
  seconds: number;
  json?: boolean;
  quiet?: boolean;
}

const sizesDefault = '100,1000,100000';

export function postgresCompareCommand(postgres: Command): void {
  postgres
    .command('compare')
    .description('measure what each way costs by record, in a schema of its own that is dropped at the end')
    .addHelpText(
      'after',
      '\nExample:\n  $ tallybook postgres compare --records 100,1000 --postgres postgres://owner@127.0.0.1/scratch',
    )
    .addOption(postgresSetting())
    .addOption(
      setting('--records <list>', `numbers of records, separated by commas; ${sizesDefault} when not given`, {
        parse: sizes,
      }),
    )
    .addOption(
      setting('--subscriptions <number>', 'how many the records are of; twice as many keys', {
        default: 1_000,
        parse: wholeNumber(1, 1_000_000),
      }),
    )
    .addOption(
      setting('--seconds <number>', 'of a cell at most', { default: 10, parse: wholeNumber(1, 3_600) }),
    )
    .addOption(jsonSetting())
    .addOption(quietSetting())
    .action(compareWays);
}

function sizes(text: string): number[] {
  const numbers = listOf([text])!.map(wholeNumber(1, 10_000_000));
  if (numbers.length === 0) throw new InvalidArgumentError('expected numbers such as 100,1000.');
  return numbers;
}

async function compareWays(settings: CompareSettings): Promise<void> {
  const { subscriptions, seconds, json, quiet, records = sizes(sizesDefault) } = settings;
  await withPostgres(settings.postgres, async (postgres) => {
    const schema = newScratchSchema();
    if (!quiet) note(`schemas ${schema} and ${schema}_cell; they are dropped at the end`);
    const cells = await interruptible(async (signal) => {
      try {
        const plan = { sizes: records, subscriptions, seconds };
        const tell = ({ way, records, mode }: Cell) =>
          quiet || note(`${wholeFigure(records)} ${mode}: ${way}`);
        return await compare(preparing(postgres), schema, plan, tell, signal);
      } finally {
        await postgres.query('rollback');
        await dropScratchSchemas(postgres, schema);
      }
    });
    if (json) printJson({ subscriptions, seconds, cells });
    else for (const size of records) printSize(size, cells);
  });
}

function preparing(postgres: Postgres): PreparedSession {
  const { client, query, explained } = postgres;
  return {
    query,
    async prepared(name, text, values) {
      try {
        const types = { getTypeParser: () => (value: unknown) => value };
        return (await client.query<Record<string, string | null>>({ name, text, values: [...values], types }))
          .rows;
      } catch (error) {
        throw explained(error);
      }
    },
  };
}

function printSize(records: number, cells: readonly Cell[]): void {
  const ofSize = cells.filter((cell) => cell.records === records);
  const find = (way: string, mode: Cell['mode']) =>
    ofSize.find((cell) => cell.way === way && cell.mode === mode)!;
  const figure = ({ microseconds_per_record: cost, written }: Cell): string =>
    `${cost.toFixed(1)}${written < records ? ` (of ${wholeFigure(written)})` : ''}`;
  const ways = [...new Set(ofSize.map(({ way }) => way))];
  print(`${wholeFigure(records)} records, microseconds for each`);
  print(
    table(
      ['', 'one by one', 'all at once', 'question, ms'],
      ways.map((way) => {
        const bulk = find(way, 'bulk');
        return [
          way,
          figure(find(way, 'single')),
          figure(bulk),
          bulk.question_milliseconds?.toFixed(2) ?? null,
        ];
      }),
      { right: ['one by one', 'all at once', 'question, ms'] },
    ),
  );
  const ratio =
    find('row-level triggers', 'bulk').microseconds_per_record /
    find('statement-level triggers', 'bulk').microseconds_per_record;
  print(`All at once, row-level triggers take ${ratio.toFixed(1)} times as long as statement-level ones.\n`);
}
