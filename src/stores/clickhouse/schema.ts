/**
 * The tables, for a single server and for a cluster, from the same functions. `docs/clickhouse.sql` and
 * `docs/clickhouse-cluster.sql` show them for an example stream; a test keeps them true.
 *
 * On a cluster, entries, duplicates and rollups are spread over its shards by a Distributed table, and each shard is
 * replicated. The commits are not spread: every node of the cluster holds all of them, one replicated table.
 */
import { TallybookError } from '../../engine/errors.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import {
  columnType,
  commitsTable,
  duplicatesTable,
  entriesTable,
  isNarrow,
  literal,
  quote,
  rollupTable,
  storedFields,
} from './names.ts';

/** Raised with every change of the tables that older code must not touch. */
export const schemaVersion = 2;

/** How many tokens of inserts a table remembers: far more than can be under way. */
const rememberedInserts = 10_000;

export interface Cluster {
  name: string;
  /** The database, for the paths of replicated tables. */
  database: string;
}

interface Table {
  name: string;
  columns: string[];
  engine: 'MergeTree' | 'SummingMergeTree';
  engineArguments?: string;
  orderBy: string;
  settings?: string[];
  /** The expression that spreads rows over shards; where there is none, every node holds the whole table. */
  shardBy?: string;
}

/**
 * The same as `_part`, for deletes: in those ClickHouse takes `_part` for a column of its own, and then does not find it.
 */
export const partAgain = '_of_part';
const partAgainColumn = `${partAgain} UInt64 materialized _part`;

/** The statements that create a table where it does not exist yet. */
function create(table: Table, cluster: Cluster | undefined): string[] {
  const settings = [
    `${cluster ? 'replicated' : 'non_replicated'}_deduplication_window = ${rememberedInserts}`,
    ...(cluster ? [`replicated_deduplication_window_seconds = 604800`] : []),
    ...(table.settings ?? []),
  ];
  const local = cluster && table.shardBy ? `${table.name}.local` : table.name;
  const on = cluster ? ` on cluster ${quote(cluster.name)}` : '';
  const statements = [
    `create table if not exists ${quote(local)}${on} (\n  ${table.columns.join(',\n  ')}\n)
engine = ${engineOf(table, cluster)}
order by ${table.orderBy}
settings ${settings.join(', ')}`,
  ];
  if (cluster && table.shardBy)
    statements.push(`create table if not exists ${quote(table.name)}${on} as ${quote(local)}
engine = Distributed(${literal(cluster.name)}, currentDatabase(), ${literal(local)}, ${table.shardBy})`);
  return statements;
}

function engineOf({ name, engine, engineArguments, shardBy }: Table, cluster: Cluster | undefined): string {
  if (!cluster) return engineArguments ? `${engine}(${engineArguments})` : engine;
  const of = `/clickhouse/tables/${cluster.database}/${name}`;
  const replica = shardBy ? [`${of}/{shard}`, '{replica}'] : [of, '{shard}-{replica}'];
  return `Replicated${engine}(${[...replica.map(literal), ...(engineArguments ? [engineArguments] : [])].join(', ')})`;
}

/**
 * What was published, and whatever else changes what is seen: a position for each, taken by one process alone (see
 * ledger-state.ts). The rows of a position are inserted together, so they are there together.
 */
const commits: Table = {
  name: commitsTable,
  columns: [
    'position UInt64',
    // Who took the position: a token of the attempt.
    'taken_by String',
    // part, seqs, epoch, drop, rollup, copy, suspects, void
    'kind String',
    'batch UInt64',
    // Microseconds since 1970, as all times.
    'recorded_at Int64',
    'part UInt64',
    'stream String',
    'mode String',
    'source String',
    'import Nullable(Int64)',
    'reason Nullable(String)',
    'accepted UInt64',
    'duplicates UInt64',
    'corrected UInt64',
    'conflicts UInt64',
    'rejected UInt64',
    'retracted UInt64',
    'value String',
  ],
  engine: 'MergeTree',
  orderBy: 'position',
};

function entries(stream: Stream): Table {
  return {
    name: entriesTable(stream),
    columns: [
      '_seq Int64',
      '_part UInt64',
      partAgainColumn,
      '_sign Int8',
      '_reverses Nullable(Int64)',
      '_hash UInt64',
      '_id String',
      ...storedFields(stream).map(column),
      // Ids are compared by their hash.
      'projection by_hash (select _hash, _id, _seq, _part, _sign, _reverses order by _hash)',
    ],
    engine: 'MergeTree',
    orderBy: '_seq',
    settings: ["lightweight_mutation_projection_mode = 'rebuild'"],
    shardBy: '_hash',
  };
}

/** Ids that were sent again with the same content: the entry that stood, and when. */
function duplicates(stream: Stream): Table {
  return {
    name: duplicatesTable(stream),
    columns: ['_seq Int64', '_part UInt64', partAgainColumn],
    engine: 'MergeTree',
    orderBy: '_seq',
    shardBy: '_seq',
  };
}

export const sumColumnName = (field: Field): string => `_sum_${field.name}`;
const sumColumn = (field: Field): string => quote(sumColumnName(field));

function sumType(field: Field): string {
  if (field.type !== 'decimal') return 'Int128';
  return `Decimal(${isNarrow(field) ? 38 : 76}, ${field.scale})`;
}

/** A kept sum in units of its last digit. */
export function inUnits(field: Field, kept: string): string {
  return field.type === 'decimal' ? `reinterpret(${kept}, 'Int${isNarrow(field) ? 128 : 256}')` : kept;
}

export const keptUnits = (field: Field): string => inUnits(field, `_e.${sumColumn(field)}`);

/** Units as they are kept. */
export function keptSum(field: Field, units: string): string {
  return field.type === 'decimal' ? `reinterpret(${units}, '${sumType(field)}')` : units;
}

/**
 * Partial sums of each part. The part is a column of the key, because a sum in which rows of a part that is not
 * committed were merged could never be taken apart again.
 */
function rollup(stream: Stream, of: Rollup): Table {
  const sums = [...of.sum.map(sumColumn), '_count'];
  return {
    name: rollupTable(stream, of),
    columns: [
      // The local date on which it starts, in days since 1970; of hours and minutes the instant.
      '_bucket Int64',
      ...of.by.map(column),
      '_part UInt64',
      partAgainColumn,
      // 1: the share of records that retention has dropped; the ledger no longer proves it
      '_dropped UInt8',
      ...of.sum.map((field) => `${sumColumn(field)} ${sumType(field)}`),
      '_count Int64',
    ],
    engine: 'SummingMergeTree',
    engineArguments: `(${sums.join(', ')})`,
    orderBy: `(${[...of.by.map(({ name }) => quote(name)), '_bucket', '_part', '_dropped'].join(', ')})`,
    settings: ['allow_nullable_key = 1'],
    shardBy: 'rand()',
  };
}

const column = (field: Field): string => `${quote(field.name)} ${columnType(field)}`;

export const commitTables = (cluster?: Cluster): string[] => create(commits, cluster);
export const streamTables = (stream: Stream, cluster?: Cluster): string[] =>
  [entries(stream), duplicates(stream)].flatMap((table) => create(table, cluster));
export const rollupTables = (stream: Stream, of: Rollup, cluster?: Cluster): string[] =>
  create(rollup(stream, of), cluster);

/** Adds the column of a field that is new. */
export function addColumn(stream: Stream, field: Field, cluster?: Cluster): string[] {
  return alterTable(entriesTable(stream), column(field), cluster);
}

/** Adds what tables of schema 1 lack. */
export function addPartAgain(table: string, cluster?: Cluster): string[] {
  return alterTable(table, partAgainColumn, cluster);
}

function alterTable(table: string, added: string, cluster: Cluster | undefined): string[] {
  const on = cluster ? ` on cluster ${quote(cluster.name)}` : '';
  const tables = cluster ? [`${table}.local`, table] : [table];
  return tables.map((one) => `alter table ${quote(one)}${on} add column if not exists ${added}`);
}

export function checkVersion(version: number): void {
  if (version > schemaVersion)
    throw new TallybookError(
      'newer_database',
      `the database was written by a newer Tallybook (schema ${version}, this one knows ${schemaVersion}); use that version or a newer one`,
    );
}
