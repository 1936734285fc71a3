/** `tallybook postgres`: a rollup kept inside of a PostgreSQL, from the declaration of a stream. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { formatTimestamp, parseDate, parseTimestamp } from '../../engine/calendar.ts';
import type { StreamDeclaration } from '../../engine/declaration.ts';
import { TallybookError } from '../../engine/errors.ts';
import { defineStream, type Stream } from '../../engine/stream.ts';
import {
  type ColumnChoice,
  findInstalled,
  keptOf,
  planInstallation,
  type TableChoice,
} from '../../postgres/installation.ts';
import { type Strategy, strategies } from '../../postgres/kept-rollup.ts';
import {
  installation,
  type Migration,
  refresh,
  removalOf,
  reverse,
  script,
} from '../../postgres/migration.ts';
import { shown } from '../../postgres/names.ts';
import { type Difference, type Verification, verify } from '../../postgres/verify.ts';
import { usageTypes } from '../../systems/usage/declarations.ts';
import { findTables } from '../backfill/postgres-source.ts';
import { jsonSetting, setting } from '../config.ts';
import { exitCodes, usageError } from '../outcome.ts';
import { type Postgres, postgresSetting, withPostgres } from '../postgres-connection.ts';
import { readStreamFile } from '../stream-files.ts';
import { table } from '../table.ts';
import { note, print, printJson, style } from '../terminal.ts';
import { postgresCompareCommand } from './postgres-compare.ts';

interface PostgresSettings {
  postgres?: string;
  json?: boolean;
}
interface MigrationSettings extends PostgresSettings {
  out?: string;
  apply?: boolean;
}
interface InstallSettings extends MigrationSettings {
  streams?: string;
  rollup?: string;
  strategy: Strategy;
  into?: string;
  table?: TableChoice[];
  column?: ColumnChoice[];
  from?: string;
}

export function postgresCommands(program: Command): void {
  const postgres = program
    .command('postgres')
    .description('keep a rollup inside of your own PostgreSQL: by triggers or as a view');
  const install = postgres
    .command('install')
    .description('write the SQL that keeps a rollup of your raw tables, and its reverse; or apply it')
    .argument('<stream>', 'the stream whose rollup it is: one of a system, such as usage, or of --streams')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook postgres install usage --rollup daily --postgres postgres://owner@db.example.com/shop
  $ tallybook postgres install usage --rollup daily --table data=usage_data --table voice=usage_voice --out migrations
  $ tallybook postgres install usage --rollup daily --table usage_records --column used=amount --strategy view --apply
  $ tallybook postgres install sales --streams sales.json --table shop.sales --apply

The SQL is printed, and nothing is changed but with --apply, which shows it and then runs it in one transaction. What is
there already is replaced, and counted anew.`,
    )
    .addOption(postgresSetting())
    .addOption(setting('--streams <file>', 'the file that declares the stream'))
    .addOption(setting('--rollup <name>', 'the rollup of the stream; the only one when not given'))
    .addOption(
      setting(
        '--strategy <name>',
        'triggers keep a table right at every commit; a view counts when it is asked',
        {
          choices: strategies,
          default: 'triggers',
        },
      ),
    )
    .addOption(
      setting(
        '--into <name>',
        'the table or view to make; STREAM_ROLLUP beside the raw table when not given',
      ),
    )
    .addOption(
      setting('--table <name>', 'a raw table, or form=name where its rows are of a form; may be repeated', {
        parse: tableChoice,
        repeat: true,
      }),
    )
    .addOption(
      setting(
        '--column <field=column>',
        'the column of a field, where it has another name; form.field=column for one form; may be repeated',
        {
          parse: columnChoice,
          repeat: true,
        },
      ),
    )
    .addOption(
      setting('--from <time>', 'count only buckets anew that begin then or later', { parse: bucketStart }),
    )
    .action(installRollup);
  const remove = postgres
    .command('remove')
    .description('write the SQL that takes away what install made; or apply it')
    .argument('<name>', 'the table or view that install made, such as usage_daily')
    .addHelpText('after', '\nExample:\n  $ tallybook postgres remove usage_daily --apply')
    .addOption(postgresSetting())
    .action(removeRollup);
  for (const command of [install, remove])
    command
      .addOption(setting('--out <dir>', 'write the SQL to files in a directory instead'))
      .addOption(setting('--apply', 'show the SQL, then run it in one transaction'));
  const verification = postgres
    .command('verify')
    .description('compare what install made with a recount of the raw tables; exit code 4 when they differ')
    .argument('[name]', 'only this one')
    .addHelpText('after', '\nExample:\n  $ tallybook postgres verify usage_daily --from 2026-10-01')
    .addOption(postgresSetting())
    .addOption(setting('--from <time>', 'only buckets that begin then or later', { parse: bucketStart }))
    .action(verifyRollups);
  for (const command of [install, remove, verification]) command.addOption(jsonSetting());
  postgresCompareCommand(postgres);
}

function tableChoice(text: string): TableChoice {
  const [, form, name] = /^(?:([a-z][a-z0-9_]*)=)?(.+)$/s.exec(text) ?? [];
  if (name === undefined)
    throw new InvalidArgumentError('expected NAME or FORM=NAME, such as voice=usage_voice.');
  return { form, name };
}

function columnChoice(text: string): ColumnChoice {
  const [, form, field, column] = /^(?:([a-z][a-z0-9_]*)\.)?([a-z][a-z0-9_]*)=(.+)$/s.exec(text) ?? [];
  if (field === undefined)
    throw new InvalidArgumentError('expected FIELD=COLUMN or FORM.FIELD=COLUMN, such as used=kilobytes.');
  return { form, field, column: column! };
}

/** A date, or a timestamp with its zone. */
function bucketStart(text: string): string {
  if (parseDate(text) !== undefined) return text;
  const micros = parseTimestamp(text);
  if (micros === undefined)
    throw new InvalidArgumentError('expected a date or a timestamp such as 2026-10-05T06:00:00Z.');
  return formatTimestamp(micros);
}

async function installRollup(name: string, settings: InstallSettings): Promise<void> {
  const stream = await streamNamed(name, settings.streams);
  const { rollup, strategy, into, column: columns = [], from } = settings;
  await withPostgres(settings.postgres, async (postgres) => {
    const tables = settings.table ?? (await tablesOf(postgres, stream));
    const kept = await planInstallation(postgres, { stream, rollup, strategy, into, tables, columns });
    const there = await findInstalled(postgres);
    const before = there.find(({ relation }) => shown(relation) === shown(kept.relation));
    const up = installation(kept, before, from);
    await bring(postgres, settings, { name: kept.relation.name, up, down: reverse(kept) });
    if (strategy === 'materialized' && !settings.json) note(`To bring it up to date: ${refresh(kept)}`);
  });
}

/** Those of the usage system are known by their columns. */
async function tablesOf(postgres: Postgres, stream: Stream): Promise<TableChoice[]> {
  if (!(await shippedStreams()).includes(stream) || stream.name !== 'usage') return [];
  const found = await findTables(postgres);
  return usageTypes.map((type) => ({ form: type, name: found[type] }));
}

/** Loaded when they are asked for: other commands need none of them. */
async function shippedStreams(): Promise<Stream[]> {
  const { systems } = await import('../../systems/systems.ts');
  return systems.flatMap(({ streams }) => streams);
}

async function streamNamed(name: string, path: string | undefined): Promise<Stream> {
  if (path === undefined) {
    const known = await shippedStreams();
    const found = known.find((stream) => stream.name === name);
    if (found) return found;
    throw usageError(
      `there is no stream ${name} in the systems, which have ${known.map((stream) => stream.name).join(', ')}; name the file that declares it with --streams`,
    );
  }
  const declared = await readStreamFile(path);
  const found = declared.find((one) => one.name === name);
  if (found) return defineStream(name, JSON.parse(found.text) as StreamDeclaration);
  throw usageError(`${path} declares ${declared.map((one) => one.name).join(', ')}, and no stream ${name}`);
}

async function removeRollup(name: string, settings: MigrationSettings): Promise<void> {
  await withPostgres(settings.postgres, async (postgres) => {
    const [installed] = await findInstalled(postgres, name);
    const down = await removalOf(postgres, installed!);
    await bring(postgres, settings, { name: installed!.relation.name, down });
  });
}

/** Shows, writes or applies. What is applied was shown first. */
async function bring(
  postgres: Postgres,
  { out, apply, json }: MigrationSettings,
  { name, up, down }: { name: string; up?: Migration; down: Migration },
): Promise<void> {
  const first = up ?? down;
  const files: string[] = [];
  if (out !== undefined) {
    await mkdir(out, { recursive: true });
    for (const [way, migration] of Object.entries({ up, down })) {
      if (!migration) continue;
      const path = join(out, `${name.replaceAll(/[^\w.-]/g, '_')}.${way}.sql`);
      await writeFile(path, script(migration));
      files.push(path);
    }
  }
  // With --json the document comes at the end; the SQL is shown beside it.
  if (apply && json) note(script(first));
  else if (!json && (apply || out === undefined)) print(script(first).trimEnd());
  if (apply) await applyMigration(postgres, first);
  if (json) {
    printJson({
      title: first.title,
      up: up?.statements ?? null,
      down: down.statements,
      files,
      applied: apply ?? false,
    });
    return;
  }
  for (const path of files) note(`written: ${path}`);
  note(apply ? style('green', 'applied', process.stderr) : 'nothing was changed; --apply runs it');
}

async function applyMigration(postgres: Postgres, { statements }: Migration): Promise<void> {
  await postgres.query('begin');
  try {
    for (const statement of statements) await postgres.query(statement);
    await postgres.query('commit');
  } catch (error) {
    await postgres.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function verifyRollups(
  name: string | undefined,
  settings: PostgresSettings & { from?: string },
): Promise<void> {
  await withPostgres(settings.postgres, async (postgres) => {
    const found = await findInstalled(postgres, name);
    if (found.length === 0)
      throw new TallybookError(
        'bad_settings',
        `${postgres.place} has no rollup that tallybook postgres install made`,
      );
    const results: Verification[] = [];
    for (const installed of found) {
      results.push(await verify(postgres, await keptOf(postgres, installed), settings.from));
    }
    const ok = results.every((result) => result.ok);
    if (settings.json) printJson({ ok, rollups: results });
    else for (const result of results) printVerification(result);
    if (!ok) process.exitCode = exitCodes.differences;
  });
}

function printVerification({ relation, ok, differences, first, missing_triggers }: Verification): void {
  if (ok) print(`${relation}: ${style('green', 'equals a recount')}`);
  for (const trigger of missing_triggers)
    print(`${relation}: ${style('red', 'missing or disabled')}: trigger ${trigger}`);
  if (differences === 0) return;
  print(
    `${relation}: ${style('red', `${differences} ${differences === 1 ? 'key differs' : 'keys differ'}`)} from a recount`,
  );
  print(table(['', ...Object.keys(first[0]!.key), ...Object.keys(first[0]!.kept)], first.flatMap(rowsOf)));
  if (missing_triggers.length > 0 || differences > 0)
    note(
      'tallybook postgres install adds what is missing and counts anew; see what wrote past the triggers first.',
    );
}

function rowsOf({ key, kept, counted }: Difference) {
  const keys = Object.values(key);
  return [
    ['kept', ...keys, ...Object.values(kept)],
    ['counted', ...keys, ...Object.values(counted)],
  ];
}
