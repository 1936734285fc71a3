/**
 * The connection to ClickHouse: the official client, with the settings that the store relies on, and errors that say
 * what to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClickHouseClient, ClickHouseError, createClient } from '@clickhouse/client';
import { TallybookError } from '../../engine/errors.ts';
import { type Cell, literal, quote } from './names.ts';
import type { Cluster } from './schema.ts';

/** Values of the parameters `p0`, `p1` … of a statement. */
export type ParameterValues = Record<string, string | string[]>;

const settings = {
  // Numbers that a double cannot hold are read as text.
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 1,
  // An insert is acknowledged when it is there, and a second one with the same token changes nothing.
  async_insert: 0,
  insert_deduplicate: 1,
  // A lookup of thousands of ids is one statement.
  max_query_size: '67108864',
  // The greatest of two sums was once the smaller one, when its expression had been used often enough to be compiled.
  compile_expressions: 0,
  compile_aggregate_expressions: 0,
  // What a cluster must do so that a node sees what any other has published.
  insert_quorum: 'auto',
  insert_quorum_parallel: 0,
  select_sequential_consistency: '1',
  distributed_foreground_insert: 1,
  prefer_localhost_replica: 1,
  distributed_product_mode: 'global',
} as const;

export class Connection {
  readonly #client: ClickHouseClient;
  /** For people. */
  readonly place: string;
  /** Over which the tables are spread. */
  readonly cluster: Cluster | undefined;

  /**
   * @param address `clickhouse://user:password@host:8123/database`, `clickhouses:` by TLS; `?cluster=NAME` for tables
   * that are replicated and spread over a cluster. The database must be there.
   */
  constructor(address: string) {
    const { url, database, cluster } = addressOf(address);
    this.place = `${url.host}/${database}`;
    this.cluster = cluster === undefined ? undefined : { name: cluster, database };
    const ofAServer = Object.entries(settings).filter(
      ([name]) => cluster !== undefined || !ofClusters.has(name),
    );
    this.#client = createClient({
      url,
      database,
      application: 'tallybook',
      request_timeout: 600_000,
      // Parameters too long for an address go as a form.
      use_multipart_params_auto: true,
      clickhouse_settings: Object.fromEntries(ofAServer),
      log: { LoggerClass: SilentLogger },
    });
  }

  async rows(query: string, parameters: ParameterValues = {}): Promise<Cell[][]> {
    return this.#attempt(async () => {
      const result = await this.#client.query({
        query,
        query_params: parameters,
        format: 'JSONCompactEachRow',
      });
      return result.json<Cell[]>();
    });
  }

  async execute(query: string, parameters: ParameterValues = {}): Promise<void> {
    await this.#attempt(() => this.#client.command({ query, query_params: parameters }));
  }

  /** Inserts rows in one block. With the same token, a second insert changes nothing. */
  async insert(
    table: string,
    columns: readonly string[],
    rows: readonly Cell[][],
    token: string,
  ): Promise<void> {
    if (rows.length === 0) return;
    await this.#attempt(() =>
      this.#client.insert({
        table: quote(table),
        columns: columns as [string, ...string[]],
        values: rows,
        format: 'JSONCompactEachRow',
        clickhouse_settings: {
          insert_deduplication_token: token,
          max_insert_block_size: String(rows.length),
        },
      }),
    );
  }

  /** Inserts what a statement selects. */
  async insertSelect(table: string, columns: string, select: string, token: string): Promise<void> {
    await this.execute(
      `insert into ${quote(table)} (${columns}) settings insert_deduplication_token = ${literal(token)} ${select}`,
    );
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  /** Deletes rows, at once. */
  async remove(table: string, condition: string): Promise<void> {
    const { cluster } = this;
    const rows = cluster ? `${quote(`${table}.local`)} on cluster ${quote(cluster.name)}` : quote(table);
    await this.execute(`delete from ${rows} where ${condition}`);
  }

  async #attempt<T>(work: () => Promise<T>, attempt = 1): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ClickHouseError && stillReplicating.has(error.code) && attempt < attemptsMax) {
        // The same token again: it is there once, whatever became of the first.
        await sleep(20 * attempt);
        return this.#attempt(work, attempt + 1);
      }
      if (error instanceof ClickHouseError && error.code === noRoomCode)
        throw new TallybookError(
          'storage_full',
          `the disk of ClickHouse at ${this.place} is full, and nothing of this was kept; make room, then send it again`,
          { cause: error },
        );
      if (error instanceof ClickHouseError && error.code === noMemoryCode)
        throw new TallybookError(
          'out_of_memory',
          `this needs more memory than ClickHouse at ${this.place} may use for it, and nothing of it was kept; give it more, or ask for less at a time (${error.message.slice(0, 300)})`,
          { cause: error, retryAfter: 10 },
        );
      if (error instanceof ClickHouseError && cannotNow.has(error.code))
        throw new TallybookError(
          'database_unavailable',
          `ClickHouse at ${this.place} cannot do this now (${error.type ?? error.code}: ${error.message.slice(0, 300)})`,
          { cause: error, retryAfter: 5 },
        );
      if (error instanceof ClickHouseError) throw error;
      throw new TallybookError(
        'database_unavailable',
        `ClickHouse at ${this.place} cannot be reached (${(error as Error).message}); see that it runs and can be reached from here`,
        { cause: error, retryAfter: 5 },
      );
    }
  }
}

/** A majority of replicas does not have the insert before this one yet, or it is not known whether it has. */
const stillReplicating = new Set(['286', '319']);
const attemptsMax = 100;
/** NOT_ENOUGH_SPACE. */
const noRoomCode = '243';
/** MEMORY_LIMIT_EXCEEDED. */
const noMemoryCode = '241';
/**
 * What a server says that can do it another time: TIMEOUT_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, SOCKET_TIMEOUT,
 * NETWORK_ERROR, TABLE_IS_READ_ONLY (its Keeper is away), NO_ACTIVE_REPLICAS, TOO_MANY_PARTS,
 * ALL_CONNECTION_TRIES_FAILED, TOO_FEW_LIVE_REPLICAS, KEEPER_EXCEPTION.
 */
const cannotNow = new Set(['159', '202', '209', '210', '242', '254', '252', '279', '285', '999']);

const ofClusters = new Set([
  'insert_quorum',
  'insert_quorum_parallel',
  'select_sequential_consistency',
  'distributed_foreground_insert',
  'prefer_localhost_replica',
  'distributed_product_mode',
]);

/** Errors are thrown and logged by whoever catches them. */
class SilentLogger {
  trace(): void {}
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(): void {}
}

function addressOf(address: string): { url: URL; database: string; cluster: string | undefined } {
  const bad = (detail: string) =>
    new TallybookError(
      'bad_settings',
      `the store ${detail}; expected clickhouse://user:password@host:8123/database`,
    );
  if (!/^clickhouses?:\/\//.test(address)) throw bad('is no address of a ClickHouse');
  let url: URL;
  try {
    url = new URL(address.replace(/^clickhouse/, 'http'));
  } catch {
    throw bad('has an address that cannot be read');
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(database)) throw bad('names no database');
  const cluster = url.searchParams.get('cluster') ?? undefined;
  if ([...url.searchParams.keys()].some((name) => name !== 'cluster'))
    throw bad('has a parameter in its address that is not cluster');
  url.pathname = '/';
  url.search = '';
  if (url.port === '') url.port = url.protocol === 'https:' ? '8443' : '8123';
  return { url, database, cluster };
}
