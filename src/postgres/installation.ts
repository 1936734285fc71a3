/**
 * From a declaration and the names of raw tables to a rollup that can be kept: which column is which field, and whether
 * it can be. The same for what is asked for now and for what was installed, which says so in the comment on its
 * relation: so `verify`, `remove` and `serve` need nothing but the database.
 */
import type { FormDeclaration, StreamDeclaration } from '../engine/declaration.ts';
import { TallybookError } from '../engine/errors.ts';
import { checkValue, type Field } from '../engine/field-types.ts';
import { findForm } from '../engine/forms.ts';
import { defineStream, type Rollup, type Stream } from '../engine/stream.ts';
import { checkTimeZone, checkVersion, relationsToWatch, type Table, tableNamed } from './catalog.ts';
import { checkColumns, type KeptRollup, keyColumns, type RawTable, type Strategy } from './kept-rollup.ts';
import { type Relation, shown } from './names.ts';
import { amountOf, bucketOf, fixedKey, keyOf } from './raw-columns.ts';
import type { Session } from './session.ts';

export interface TableChoice {
  /** The form of the stream in which its rows are; the stream's own when not given. */
  form: string | undefined;
  /** As in a statement. */
  name: string;
}
export interface ColumnChoice {
  form: string | undefined;
  field: string;
  column: string;
}

export interface Request {
  stream: Stream;
  /** The only one when not given. */
  rollup: string | undefined;
  strategy: Strategy;
  /** As in a statement; beside the first raw table, and called by stream and rollup, when not given. */
  into: string | undefined;
  tables: readonly TableChoice[];
  columns: readonly ColumnChoice[];
}

const bad = (detail: string): TallybookError => new TallybookError('bad_settings', detail);

/** Throws `bad_settings` for what is not there or cannot be kept, with what is. */
export async function planInstallation(session: Session, request: Request): Promise<KeptRollup> {
  await checkVersion(session);
  const { stream, strategy } = request;
  const rollup = rollupNamed(stream, request.rollup);
  if (request.tables.length === 0) throw bad(`name the raw tables of ${stream.name} with --table`);
  for (const { field, form } of request.columns)
    if (!stream.field(field) || (form !== undefined && !stream.forms.has(form)))
      throw bad(
        `--column names ${form === undefined ? '' : `${form}.`}${field}, which the stream ${stream.name} does not have`,
      );
  const tables: PlacedTable[] = [];
  for (const choice of request.tables) {
    const table = await tableNamed(session, choice.name);
    tables.push({ table, form: choice.form, ...columnsOf(stream, rollup, choice, request.columns, table) });
  }
  const twice = tables.find(
    ({ table }, index) => tables.findIndex((one) => one.table.oid === table.oid) < index,
  );
  if (twice) throw bad(`--table names ${shown(twice.table)} twice: its rows would count twice`);
  const relation = await relationNamed(
    session,
    request.into,
    tables[0]!.table,
    `${stream.name}_${rollup.name}`,
  );
  return keptRollup(session, reduced(stream, rollup), strategy, relation, tables);
}

interface PlacedTable {
  table: Table;
  form: string | undefined;
  columns: Record<string, string>;
  fixed: Record<string, string>;
}

async function keptRollup(
  session: Session,
  stream: Stream,
  strategy: Strategy,
  relation: Relation,
  placed: readonly PlacedTable[],
): Promise<KeptRollup> {
  const rollup = stream.rollups[0]!;
  checkColumns(rollup, strategy);
  if (rollup.every !== 'all') await checkTimeZone(session, rollup.tz);
  const tables: RawTable[] = [];
  const forms = placed.map(({ form }) => form);
  for (const [index, { table, form, columns, fixed }] of placed.entries()) {
    const apart = form !== undefined && forms.indexOf(form) === forms.lastIndexOf(form);
    tables.push({
      schema: table.schema,
      name: table.name,
      label: placed.length === 1 ? '' : apart ? form : String(index + 1),
      keys: keysOf(stream, rollup, table, columns, fixed),
      sums: rollup.sum.map((field) => amountOf(table, columnOf(table, columns, field), field)),
      partitioned: table.kind === 'p',
      watched: strategy === 'triggers' ? await relationsToWatch(session, table) : [],
      columns,
      fixed,
    });
  }
  return { stream, rollup, strategy, relation, tables };
}

function rollupNamed(stream: Stream, name: string | undefined): Rollup {
  const names = stream.rollups.map((rollup) => rollup.name).join(', ') || 'none';
  const found = name === undefined ? stream.rollups : stream.rollups.filter((rollup) => rollup.name === name);
  if (found.length === 1) return found[0]!;
  throw bad(
    name === undefined
      ? `the stream ${stream.name} declares ${stream.rollups.length} rollups; name one with --rollup: ${names}`
      : `the stream ${stream.name} has no rollup ${name}; it has ${names}`,
  );
}

function usedFields(stream: Stream, rollup: Rollup): Field[] {
  const time = rollup.every === 'all' ? [] : [stream.time!];
  return [...new Set([...rollup.by, ...time, ...rollup.sum])];
}

/** The stream with the fields of the rollup alone: what has to be remembered of it. */
function reduced(stream: Stream, rollup: Rollup): Stream {
  const used = usedFields(stream, rollup).map(
    ({ name }) => [name, stream.declaration.fields[name]!] as const,
  );
  return defineStream(stream.name, {
    ...(rollup.every === 'all' ? {} : { time: stream.time!.name }),
    fields: Object.fromEntries(used),
    rollups: { [rollup.name]: stream.declaration.rollups![rollup.name]! },
  });
}

function columnsOf(
  stream: Stream,
  rollup: Rollup,
  { form, name }: TableChoice,
  choices: readonly ColumnChoice[],
  table: Table,
): Pick<PlacedTable, 'columns' | 'fixed'> {
  const shape = form === undefined ? undefined : findForm(stream, form);
  const declared: FormDeclaration = form === undefined ? {} : stream.declaration.forms![form]!;
  const columns: Record<string, string> = {};
  const fixed: Record<string, string> = {};
  for (const field of usedFields(stream, rollup)) {
    const inForm = shape?.fields[stream.fields.indexOf(field)] ?? field;
    if (Object.hasOwn(declared.fixed ?? {}, field.name)) {
      const checked = checkValue(inForm, undefined);
      fixed[field.name] = ('value' in checked ? checked.value : null)!;
      continue;
    }
    const chosen =
      choices.findLast(
        (choice) => choice.field === field.name && choice.form === form && form !== undefined,
      ) ?? choices.findLast((choice) => choice.field === field.name && choice.form === undefined);
    const column = chosen?.column ?? inForm.name;
    if (!table.columns.has(column))
      throw bad(
        `${name} has no column ${column} for the field ${field.name}; it has ${[...table.columns.keys()].join(', ')}. Name it with --column ${form === undefined ? '' : `${form}.`}${field.name}=COLUMN`,
      );
    columns[field.name] = column;
  }
  return { columns, fixed };
}

function columnOf(table: Table, columns: Record<string, string>, { name }: Field) {
  const column = table.columns.get(columns[name] ?? '');
  if (column) return column;
  throw bad(
    columns[name] === undefined
      ? `the form of ${shown(table)} fixes ${name}, which the rollup adds up or cuts by time; expected a column`
      : `${shown(table)} has no column ${columns[name]} any more, which was ${name}`,
  );
}

function keysOf(
  stream: Stream,
  rollup: Rollup,
  table: Table,
  columns: Record<string, string>,
  fixed: Record<string, string>,
): string[] {
  const types = keyColumns({ rollup });
  const keys = rollup.by.map((field, index) => {
    const value = fixed[field.name];
    if (value !== undefined) return fixedKey(value, types[index]!.type);
    return keyOf(table, columnOf(table, columns, field), field);
  });
  if (rollup.every === 'all') return keys;
  const time = stream.time!;
  return [...keys, bucketOf(table, columnOf(table, columns, time), time, rollup.every, rollup.tz)];
}

async function relationNamed(
  session: Session,
  into: string | undefined,
  beside: Relation,
  name: string,
): Promise<Relation> {
  if (into === undefined) return { schema: beside.schema, name };
  const parts = await session
    .query('select unnest(parse_ident($1)) as part', [into])
    .catch(() => [])
    .then((rows) => rows.map(({ part }) => part!));
  if (parts.length === 1) return { schema: beside.schema, name: parts[0]! };
  if (parts.length === 2) return { schema: parts[0]!, name: parts[1]! };
  throw bad(`--into is ${into}; expected a name such as usage_daily or reports.usage_daily`);
}

// --- what was installed ------------------------------------------------------------------------------------

/** How the comment begins, by which what was installed is found again. */
const marker = 'Kept by Tallybook. ';

/** What the comment on the relation remembers, as JSON. */
interface Remembered {
  format: 1;
  strategy: Strategy;
  stream: string;
  declaration: StreamDeclaration;
  tables: {
    schema: string;
    name: string;
    label: string;
    columns: Record<string, string>;
    fixed: Record<string, string>;
  }[];
}

export function commentOf({ stream, strategy, tables }: KeptRollup): string {
  const remembered: Remembered = {
    format: 1,
    strategy,
    stream: stream.name,
    declaration: stream.declaration,
    tables: tables.map(({ schema, name, label, columns, fixed }) => ({
      schema,
      name,
      label,
      columns,
      fixed,
    })),
  };
  return marker + JSON.stringify(remembered);
}

export interface Installed {
  relation: Relation;
  /** As in pg_class: r, v or m. */
  kind: string;
  comment: string;
  strategy: Strategy;
  stream: Stream;
  /** Of its raw tables, in order. */
  labels: string[];
}

/** All that was installed in the database, or the one of a name. Throws `bad_settings` when there is none of it. */
export async function findInstalled(session: Session, name?: string): Promise<Installed[]> {
  await checkVersion(session);
  const rows = await session.query(
    `select n.nspname as schema, c.relname as name, c.relkind as kind, obj_description(c.oid, 'pg_class') as comment
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where starts_with(obj_description(c.oid, 'pg_class'), $1) and ($2::text is null or c.oid = to_regclass($2))
     order by 1, 2`,
    [marker, name ?? null],
  );
  if (rows.length > 0) return rows.map((row) => installedOf(row.schema!, row.name!, row.kind!, row.comment!));
  if (name === undefined) return [];
  const all = await findInstalled(session);
  const names = all.map(({ relation }) => shown(relation)).join(', ') || 'none at all';
  throw bad(`there is no rollup ${name} that tallybook postgres install made; there are ${names}`);
}

function installedOf(schema: string, name: string, kind: string, comment: string): Installed {
  const relation = { schema, name };
  try {
    const remembered = JSON.parse(comment.slice(marker.length)) as Remembered;
    if (remembered.format !== 1) throw new Error('it is of another version of Tallybook');
    const stream = defineStream(remembered.stream, remembered.declaration);
    const labels = remembered.tables.map(({ label }) => label);
    return { relation, kind, comment, strategy: remembered.strategy, stream, labels };
  } catch (error) {
    throw bad(
      `the comment on ${shown(relation)} cannot be read (${(error as Error).message}); it must stay as install wrote it`,
    );
  }
}

/** The same rollup with the raw tables as they are now. Throws `bad_settings` when a table or column is gone. */
export async function keptOf(
  session: Session,
  { comment, relation, stream, strategy }: Installed,
): Promise<KeptRollup> {
  const { tables } = JSON.parse(comment.slice(marker.length)) as Remembered;
  const placed: PlacedTable[] = [];
  for (const { schema, name, label, columns, fixed } of tables) {
    const [named] = await session.query('select quote_ident($1) || $2 || quote_ident($3) as name', [
      schema,
      '.',
      name,
    ]);
    const table = await tableNamed(session, named!.name!);
    placed.push({ table, form: label === '' ? undefined : label, columns, fixed });
  }
  return keptRollup(session, stream, strategy, relation, placed);
}
