/**
 * A table of PostgreSQL, read in chunks by its key: `copy (select …) to stdout` writes a chunk's rows into a file, as
 * the server spells them, so no value passes through a type of JavaScript.
 *
 * A chunk ends at the key of its n-th row and takes every row up to it, so a key that repeats is never cut in two.
 * Values stand in the statements as literals: `copy` takes no parameters.
 */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { plainNumber } from '../../engine/decimal.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { UsageType } from '../../systems/usage/declarations.ts';
import type { Postgres } from '../postgres-connection.ts';
import { type ColumnChoice, type Mapping, mappingOf, usedNames } from './mapping.ts';
import type { BackfillSource, Chunk, Summary, TableToRead } from './source.ts';

interface Columns {
  /** As PostgreSQL spells its name in a statement. */
  relation: string;
  types: Map<string, string>;
}

/** Throws `bad_settings` when there is no such table, or a column is missing or of a type that cannot be used. */
export async function postgresSource(
  postgres: Postgres,
  table: TableToRead,
  choices: readonly ColumnChoice[],
  chunkRows: number,
): Promise<BackfillSource> {
  const columns = await columnsOf(postgres, table.name);
  const mapping = mappingOf(table.name, table.type, [...columns.types.keys()], choices);
  const statements = statementsOf(postgres, table, mapping, columns);
  return {
    table,
    mapping,
    place: postgres.place,
    version: '',
    summary: (refused) => summaryOf(postgres, statements, table, refused),
    read: (after, path, signal) => readChunk(postgres, statements, { after, path, signal, chunkRows }),
  };
}

async function columnsOf(postgres: Postgres, name: string): Promise<Columns> {
  const found = await postgres.query(
    `select to_regclass($1)::text as relation, attname as name, format_type(atttypid, -1) as type
     from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum`,
    [name],
  );
  const relation = found[0]?.relation;
  if (relation) return { relation, types: new Map(found.map(({ name, type }) => [name!, type!])) };
  const tables = (await tablesIn(postgres)).map(({ relation }) => relation);
  throw new TallybookError(
    'bad_settings',
    `${postgres.place} has no table ${name}; it has ${tables.slice(0, 50).join(', ') || 'no tables'}`,
  );
}

/** The tables of the search path, with the names of their columns. */
async function tablesIn(postgres: Postgres): Promise<{ relation: string; columns: string[] }[]> {
  const rows = await postgres.query(
    `select c.oid::regclass::text as relation, json_agg(a.attname)::text as columns
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and pg_table_is_visible(c.oid)
       and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
     group by c.oid order by 1`,
  );
  return rows.map(({ relation, columns }) => ({
    relation: relation!,
    columns: JSON.parse(columns!) as string[],
  }));
}

/** The one table for each type that is known by its columns. Throws `bad_settings` when there is none, or several. */
export async function findTables(postgres: Postgres): Promise<Record<UsageType, string>> {
  const tables = await tablesIn(postgres);
  const tableOf = (type: UsageType): string => {
    const found = tables.filter(({ columns }) => columns.includes(usedNames[type][0]!));
    if (found.length === 1) return found[0]!.relation;
    const what =
      found.length === 0
        ? `no table of ${postgres.place} has a column ${usedNames[type][0]}`
        : `${found.map(({ relation }) => relation).join(' and ')} have a column ${usedNames[type][0]}`;
    const names = tables.map(({ relation }) => relation).slice(0, 50);
    throw new TallybookError(
      'bad_settings',
      `${what}; name the tables with --data-table and --voice-table, or with --table one that holds both; there are ${names.join(', ') || 'none'}`,
    );
  };
  return { data: tableOf('data'), voice: tableOf('voice') };
}

interface Statements {
  /** Their `select` without its conditions on the key. */
  rows: string;
  sums: string;
  key: string;
  relation: string;
  /** ` where …`, to which more can be added with `and`. */
  where: string;
  quoted(text: string): string;
}

function statementsOf(
  { client }: Postgres,
  { name, type, idPrefix, from, to }: TableToRead,
  mapping: Mapping,
  { relation, types }: Columns,
): Statements {
  const column = (field: keyof Mapping): string => client.escapeIdentifier(mapping[field]!);
  const quoted = (text: string): string => client.escapeLiteral(text);
  const number = (field: 'price' | 'used'): string => {
    const found = types.get(mapping[field])!;
    const way = waysOfNumbers[found];
    if (way) return way(column(field));
    throw new TallybookError(
      'bad_settings',
      `the column ${mapping[field]} of ${name} is of type ${found}; expected ${Object.keys(waysOfNumbers).join(', ')}; a view can cast it`,
    );
  };
  const time = column('usage_date');
  const typeText = type === undefined ? `${column('type')}::text` : quoted(type);
  // A row without a time is read in any case: it becomes a reject, and does not go silently.
  const bounds = [
    from === undefined ? '' : ` and (${time} >= ${quoted(from)}::timestamptz or ${time} is null)`,
    to === undefined ? '' : ` and (${time} < ${quoted(to)}::timestamptz or ${time} is null)`,
  ].join('');
  const id = `${quoted(idPrefix)} || ${column('id')}::text`;
  return {
    rows: `select ${id} as id, ${typeText} as type, ${column('subscription_id')} as subscription_id,
      ${types.get(mapping.usage_date) === 'date' ? `${time}::timestamp` : time} as usage_date,
      ${number('price')} as price, ${number('used')} as used`,
    sums: `select ${typeText} as type, count(*)::text as records, sum(${number('price')})::text as price,
      sum(${number('used')})::text as used, min(${time})::text as oldest,
      (count(*) filter (where ${column('id')} is null))::text as without_id
      from ${relation} left join unnest($1::text[]) refused (refused_id) on refused_id = ${id}
      where refused_id is null${bounds} group by 1 order by 1`,
    key: column('id'),
    relation,
    where: ` where true${bounds}`,
    quoted,
  };
}

/** How a column is read so that every digit comes along. */
const waysOfNumbers: Record<string, (column: string) => string> = {
  numeric: (column) => column,
  integer: (column) => column,
  bigint: (column) => column,
  smallint: (column) => column,
  // What stands in the table is the shortest text that gives the same double; a plain cast would round it.
  'double precision': (column) => `${column}::text::numeric`,
  real: (column) => `${column}::text::numeric`,
  money: (column) => `${column}::numeric`,
};

async function summaryOf(
  postgres: Postgres,
  { sums }: Statements,
  { name }: TableToRead,
  refused: readonly string[],
): Promise<Summary> {
  const rows = await postgres.query(sums, [refused]);
  const withoutId = rows.reduce((sum, row) => sum + Number(row.without_id), 0);
  if (withoutId > 0) {
    throw new TallybookError(
      'bad_settings',
      `${withoutId} rows of ${name} have no id; give them one, or name another column with --column id=COLUMN`,
    );
  }
  return {
    sums: rows.map(({ type, records, price, used }) => ({
      type: type ?? '',
      records: Number(records),
      price: plain(price!),
      used: plain(used!),
    })),
    oldest: rows.map(({ oldest }) => oldest!).reduce<string | null>(earlier, null),
  };
}

function plain(text: string | null): string | null {
  return text === null ? null : (plainNumber(text) ?? text);
}

function earlier(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}

async function readChunk(
  { client, query, explained }: Postgres,
  { rows, key, relation, where, quoted }: Statements,
  {
    after,
    path,
    signal,
    chunkRows,
  }: { after: string | undefined; path: string; signal: AbortSignal; chunkRows: number },
): Promise<Chunk | undefined> {
  const begin = after === undefined ? '' : ` and ${key} > ${quoted(after)}`;
  const [end] = await query(
    `select ${key}::text as last from
       (select ${key} from ${relation}${where}${begin} order by ${key} limit ${chunkRows}) chunk
     order by ${key} desc limit 1`,
  );
  if (!end) return undefined;
  const last = end.last!;
  const { to } = await import('pg-copy-streams');
  const copy = to(
    `copy (${rows} from ${relation}${where}${begin} and ${key} <= ${quoted(last)} order by ${key})
     to stdout with (format csv, header true, encoding 'UTF8')`,
  );
  try {
    await pipeline(client.query(copy), createWriteStream(path, { mode: 0o600 }), { signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : explained(error);
  }
  return { last, rows: copy.rowCount, format: 'csv' };
}
