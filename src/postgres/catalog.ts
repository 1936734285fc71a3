/** What the catalogs of a PostgreSQL say of raw tables: their columns, their partitions, and what stands in the way. */
import { TallybookError } from '../engine/errors.ts';
import { type Relation, shown } from './names.ts';
import type { Session } from './session.ts';

/** The oldest that knows `unique nulls not distinct` (and `merge`); older ones get no fixes any more. */
const leastVersion = 15;

export interface Column {
  name: string;
  /** Of a domain the type below it: `numeric`, `timestamp with time zone`. */
  type: string;
  /** Whether its numbers have a fixed number of digits: then it holds no infinity. */
  bounded: boolean;
  isText: boolean;
  isEnum: boolean;
  /** Whether two texts are equal only when their bytes are. */
  bytewise: boolean;
}

export interface Table extends Relation {
  oid: string;
  /** As in pg_class: r table, p partitioned table, v view, m materialised view, f foreign table. */
  kind: string;
  columns: ReadonlyMap<string, Column>;
}

/** Throws `bad_settings` for a server that is too old. */
export async function checkVersion(session: Session): Promise<void> {
  const [row] = await session.query(
    `select current_setting('server_version_num') as number, current_setting('server_version') as text`,
  );
  if (Number(row!.number) >= leastVersion * 10_000) return;
  throw new TallybookError(
    'bad_settings',
    `this is PostgreSQL ${row!.text}; expected ${leastVersion} or later, which can keep one row for a key with nulls`,
  );
}

/** Throws `bad_settings` for a name that the server does not know. */
export async function checkTimeZone(session: Session, zone: string): Promise<void> {
  const found = await session.query('select name from pg_timezone_names where name = $1', [zone]);
  if (found.length > 0) return;
  throw new TallybookError(
    'bad_settings',
    `this PostgreSQL has no time zone ${zone}; expected one of pg_timezone_names`,
  );
}

/** @param name as in a statement: `usage_data`, `shop.usage`, `"Usage"`. Throws `bad_settings` when there is none. */
export async function tableNamed(session: Session, name: string): Promise<Table> {
  const [found] = await session.query(
    `select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind as kind
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')`,
    [name],
  );
  if (!found) {
    const tables = await session.query(
      `select c.oid::regclass::text as name from pg_class c
       where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and pg_table_is_visible(c.oid)
         and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
       order by 1 limit 50`,
    );
    const names = tables.map((row) => row.name).join(', ') || 'no tables';
    throw new TallybookError('bad_settings', `there is no table ${name}; there are ${names}`);
  }
  const columns = await session.query(
    `select a.attname as name, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null) as type,
       (a.atttypmod <> -1)::text as bounded, (t.typcategory = 'S')::text as is_text,
       (t.typcategory = 'E')::text as is_enum, coalesce(l.collisdeterministic, true)::text as bytewise
     from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_collation l on l.oid = a.attcollation
     where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [found.oid],
  );
  return {
    oid: found.oid!,
    schema: found.schema!,
    name: found.name!,
    kind: found.kind!,
    columns: new Map(
      columns.map((row) => [
        row.name!,
        {
          name: row.name!,
          type: row.type!,
          bounded: row.bounded === 'true',
          isText: row.is_text === 'true',
          isEnum: row.is_enum === 'true',
          bytewise: row.bytewise === 'true',
        },
      ]),
    ),
  };
}

/**
 * The table and, of a partitioned one, all partitions on all levels: statements fire the triggers of the table that
 * they name, and only those. Throws `bad_settings` where triggers cannot see all that is written.
 */
export async function relationsToWatch(session: Session, table: Table): Promise<Relation[]> {
  const where = shown(table);
  const refuse = (what: string): never => {
    throw new TallybookError('bad_settings', `${what}; choose --strategy view or materialized`);
  };
  if (table.kind !== 'r' && table.kind !== 'p')
    refuse(`${where} is no table of its own, so it has no triggers that see every row`);
  const found = await session.query(
    `select n.nspname as schema, c.relname as name, c.relkind as kind
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = $1::oid or c.oid in (select relid from pg_partition_tree($1::oid)) or c.oid in
       (select inhrelid from pg_inherits where inhparent = $1::oid)
     order by c.oid <> $1::oid, 1, 2`,
    [table.oid],
  );
  if (table.kind === 'r' && found.length > 1)
    refuse(`${where} has tables that inherit from it without being its partitions`);
  const foreign = found.find(({ kind }) => kind === 'f');
  if (foreign) refuse(`the partition ${foreign.schema}.${foreign.name} of ${where} is a foreign table`);
  const subscribed = await session.query(
    `select 1 from pg_subscription_rel r where r.srrelid = $1::oid or r.srrelid in
       (select relid from pg_partition_tree($1::oid)) limit 1`,
    [table.oid],
  );
  if (subscribed.length > 0)
    refuse(`${where} is filled by logical replication, which fires no statement-level triggers`);
  return found.map(({ schema, name }) => ({ schema: schema!, name: name! }));
}
