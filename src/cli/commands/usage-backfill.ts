/** `tallybook usage backfill`: the aggregate of usage, built from raw tables that exist already. */
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { formatTimestamp, nowMicros, parseDate, parseTimestamp } from '../../engine/calendar.ts';
import type { StreamDeclaration } from '../../engine/declaration.ts';
import { TallybookError } from '../../engine/errors.ts';
import { horizonOf } from '../../engine/retention.ts';
import { defineStream, type Stream } from '../../engine/stream.ts';
import { type UsageType, usageTypes } from '../../systems/usage/declarations.ts';
import { compare } from '../backfill/compare.ts';
import { doneChunks } from '../backfill/done-chunks.ts';
import { type FileSource, fileSource } from '../backfill/file-source.ts';
import { type ColumnChoice, columnChoices, usageFields } from '../backfill/mapping.ts';
import { findTables, postgresSource } from '../backfill/postgres-source.ts';
import { countsOf, hintRejects, printOutcome, printPlan } from '../backfill/report.ts';
import type { BackfillSource, Summary, TableToRead } from '../backfill/source.ts';
import { takeIn } from '../backfill/take-in.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  type LedgerSettings,
  modeSetting,
  quietSetting,
  setting,
  whereText,
  wholeNumber,
} from '../config.ts';
import { connected } from '../connect.ts';
import { askJson, type Connection, pathOf } from '../connection.ts';
import { secondsSince } from '../figures.ts';
import { interruptible } from '../interrupt.ts';
import { exitCodes, usageError } from '../outcome.ts';
import { beginSnapshot, connectPostgres, postgresSetting } from '../postgres-connection.ts';
import { withProgress } from '../progress.ts';
import { printJson } from '../terminal.ts';

interface BackfillSettings extends ConnectionSettings {
  postgres?: string;
  table?: string;
  dataTable?: string;
  voiceTable?: string;
  file?: string;
  dataFile?: string;
  voiceFile?: string;
  column?: string[];
  idPrefix?: string;
  from?: string;
  to?: string;
  mode: 'insert' | 'upsert';
  chunk: number;
  again?: boolean;
  dryRun?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** The stream of the usage system. */
const streamName = 'usage';
const chunkRowsDefault = 500_000;

export function usageBackfillCommand(usage: Command): void {
  const command = usage
    .command('backfill')
    .description('build the aggregate from raw tables that exist already, in PostgreSQL or in files')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook usage backfill --postgres postgres://reader@db.example.com/shop --dry-run
  $ tallybook usage backfill --postgres postgres://reader@db.example.com/shop --from 2026-01-01
  $ tallybook usage backfill --postgres postgres:///shop --table usage --column used=amount_used --column type=kind
  $ tallybook usage backfill --data-file data.csv.gz --voice-file voice.parquet

Two tables have ids of their own each: record 1 becomes data-1 in one and voice-1 in the other.

The database is read in one snapshot, read only. The password comes from PGPASSWORD, ~/.pgpass or the address. What was
taken in stays when the command is stopped; the same command goes on after it. At the end the sums of the source are
compared with those of Tallybook.`,
    )
    .addOption(postgresSetting())
    .addOption(setting('--table <name>', 'its table of both types, with a column that tells the type'))
    .addOption(
      setting('--data-table <name>', 'its table of data records; found by its columns when not given'),
    )
    .addOption(
      setting('--voice-table <name>', 'its table of voice records; found by its columns when not given'),
    )
    .addOption(
      setting('--file <file>', 'a CSV, TSV or Parquet file of both types instead; plain, gzip, zstd'),
    )
    .addOption(setting('--data-file <file>', 'a file of data records'))
    .addOption(setting('--voice-file <file>', 'a file of voice records'))
    .addOption(
      setting(
        '--column <field=column>',
        `the column of a field, where it has another name: used=kilobytes, or voice.used=seconds for one type; fields are ${usageFields.join(', ')}; may be repeated`,
        { repeat: true },
      ),
    )
    .addOption(
      setting('--id-prefix <text>', 'stands before every id, also before data- and voice-', {
        parse: prefix,
      }),
    )
    .addOption(
      setting('--from <time>', 'usage from this time on: a timestamp, or a date (midnight in UTC)', {
        parse: instant,
      }),
    )
    .addOption(setting('--to <time>', 'usage up to this time, without it', { parse: instant }))
    .addOption(modeSetting())
    .addOption(
      setting('--chunk <rows>', 'rows of a table that are imported as one unit', {
        default: chunkRowsDefault,
        parse: wholeNumber(1, 50_000_000),
      }),
    )
    .addOption(setting('--again', 'read what was taken in before, too'))
    .addOption(setting('--dry-run', 'show what would be read, and take nothing in'));
  for (const option of [...connectionSettings(), jsonSetting(), quietSetting()]) command.addOption(option);
  command.action(backfill);
}

function prefix(text: string): string {
  if (!/^[A-Za-z0-9.:-]{1,64}$/.test(text))
    throw new InvalidArgumentError('expected up to 64 letters, digits, dots, colons and hyphens.');
  return text;
}

function instant(text: string): string {
  const days = parseDate(text);
  const micros = days === undefined ? parseTimestamp(text) : BigInt(days) * 86_400_000_000n;
  if (micros === undefined)
    throw new InvalidArgumentError('expected a date or a timestamp such as 2026-10-05T06:43:00Z.');
  return formatTimestamp(micros);
}

async function backfill(settings: BackfillSettings): Promise<void> {
  const tables = tablesOf(settings);
  await connected(settings, async (connection) => {
    const stream = await usageStream(connection);
    await interruptible(async (signal) => {
      const directory = await mkdtemp(join(tmpdir(), 'tallybook-'));
      try {
        await withSources(settings, tables, { directory, signal }, async (sources) => {
          for (const source of sources)
            await backfillFrom(connection, stream, source, settings, { directory, signal });
        });
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    });
  });
}

interface Run {
  /** For files of the run; removed at its end. */
  directory: string;
  signal: AbortSignal;
}

/** What the options name; undefined where a database is to be searched. */
function tablesOf(settings: BackfillSettings): TableToRead[] | undefined {
  const { postgres, idPrefix = '', from, to } = settings;
  const named = {
    table: { one: settings.table, data: settings.dataTable, voice: settings.voiceTable },
    file: { one: settings.file, data: settings.dataFile, voice: settings.voiceFile },
  };
  const given = (kind: 'table' | 'file') => Object.values(named[kind]).some((name) => name !== undefined);
  if (postgres === undefined && given('table'))
    throw usageError('tables are in a database; name it with --postgres');
  if (postgres === undefined ? !given('file') : given('file'))
    throw usageError(
      'name a database with --postgres, or else files with --data-file, --voice-file or --file',
    );
  const { one, data, voice } = named[postgres === undefined ? 'file' : 'table'];
  if (one !== undefined && (data ?? voice) !== undefined)
    throw usageError('name one table or file of both types, or one for each type');
  if (one !== undefined) return [{ name: one, type: undefined, idPrefix, from, to }];
  const ofTypes = { data, voice };
  const tables = usageTypes.flatMap((type) => {
    const name = ofTypes[type];
    return name === undefined ? [] : [tableOf(type, name, settings)];
  });
  return tables.length === 0 ? undefined : tables;
}

function tableOf(type: UsageType, name: string, { idPrefix = '', from, to }: BackfillSettings): TableToRead {
  return { name, type, idPrefix: `${idPrefix}${type}-`, from, to };
}

async function usageStream(connection: Connection): Promise<Stream> {
  const { declaration } = await askJson<{ declaration: StreamDeclaration }>(
    connection,
    'GET',
    pathOf('v1', 'streams', streamName),
  );
  const missing = usageFields.filter((field) => !(field in declaration.fields));
  if (missing.length === 0) return defineStream(streamName, declaration);
  throw new TallybookError(
    'bad_settings',
    `the stream ${streamName} of ${connection.place} has no ${missing.join(', ')}; it was declared for something else`,
  );
}

async function withSources(
  settings: BackfillSettings,
  tables: TableToRead[] | undefined,
  { directory, signal }: Run,
  work: (sources: BackfillSource[]) => Promise<void>,
): Promise<void> {
  const choices = columnChoices(settings.column);
  if (settings.postgres === undefined)
    return withFiles(tables!, choices, settings, { directory, signal }, work);
  const postgres = await connectPostgres(settings.postgres);
  // A statement that runs for minutes ends at once.
  const stop = (): void => void postgres.close();
  signal.addEventListener('abort', stop);
  try {
    await beginSnapshot(postgres);
    const found = tables ? undefined : await findTables(postgres);
    const named = tables ?? usageTypes.map((type) => tableOf(type, found![type], settings));
    const sources: BackfillSource[] = [];
    for (const table of named) sources.push(await postgresSource(postgres, table, choices, settings.chunk));
    await work(sources);
  } finally {
    signal.removeEventListener('abort', stop);
    await postgres.close();
  }
}

async function withFiles(
  tables: readonly TableToRead[],
  choices: readonly ColumnChoice[],
  { memory, threads }: LedgerSettings,
  { directory, signal }: Run,
  work: (sources: BackfillSource[]) => Promise<void>,
): Promise<void> {
  const sources: FileSource[] = [];
  try {
    for (const { name } of tables) await stat(name);
    for (const [number, file] of tables.entries()) {
      const own = join(directory, `file-${number}`);
      await mkdir(own);
      sources.push(await fileSource(file, choices, { directory: own, memory, threads, signal }));
    }
    await work(sources);
  } finally {
    for (const source of sources) source.close();
  }
}

async function backfillFrom(
  connection: Connection,
  stream: Stream,
  source: BackfillSource,
  settings: BackfillSettings,
  run: Run,
): Promise<void> {
  const { mode, quiet, json } = settings;
  const { name } = source.table;
  const summary = await source.summary([]);
  const before = settings.again
    ? { last: undefined, imports: [] }
    : await doneChunks(connection, source, mode);
  const rows = summary.sums.reduce((sum, { records }) => sum + records, 0);
  const rowsBefore = before.imports.reduce((sum, { counts }) => sum + (counts?.received ?? 0), 0);
  const plan = { table: name, place: source.place, mapping: source.mapping, rows, rows_before: rowsBefore };
  if (settings.dryRun) {
    if (json) printJson({ ...plan, source: summary.sums });
    else printPlan(source, summary, rowsBefore);
    checkHorizon(stream, name, summary);
    return;
  }
  checkHorizon(stream, name, summary);
  const directory = join(run.directory, name.replaceAll(/\W/g, '_'));
  await mkdir(directory, { recursive: true });
  const started = performance.now();
  const made = await withProgress(name, quiet, (progress) =>
    takeIn(connection, source, {
      stream: streamName,
      mode,
      after: before.last,
      rows: Math.max(0, rows - rowsBefore),
      directory,
      progress,
      signal: run.signal,
    }),
  );
  const seconds = secondsSince(started);
  const comparison = await compare(connection, streamName, source, summary.sums, [
    ...before.imports,
    ...made,
  ]);
  const counts = countsOf(made);
  if (json) printJson({ ...plan, imports: made.map(({ id }) => id), counts, comparison, seconds });
  else printOutcome(source, counts, comparison, { rowsBefore, seconds });
  if (!json) hintRejects(made, streamName, whereText(settings));
  if (!comparison.equal) process.exitCode = exitCodes.differences;
  else if (counts.rejected + counts.conflicts > 0) process.exitCode ??= exitCodes.partly;
}

/** Rows that the stream would refuse one by one are refused as a whole, before anything is read. */
function checkHorizon(stream: Stream, name: string, { oldest }: Summary): void {
  const horizon = horizonOf(stream, nowMicros());
  const time = oldest === null ? undefined : parseTimestamp(oldest);
  if (horizon === undefined || time === undefined || time >= horizon) return;
  const next = formatTimestamp(horizon + 86_400_000_000n).slice(0, 10);
  throw new TallybookError(
    'bad_settings',
    `${name} begins at ${oldest}; the stream ${streamName} keeps ${stream.declaration.retention!.records} and takes nothing older. Begin with --from ${next}, or declare a longer retention first`,
  );
}
