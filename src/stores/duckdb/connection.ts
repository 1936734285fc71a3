/**
 * One connection to DuckDB: statements run one after the other. Statements of the write path are prepared once
 * and kept: planning the staging of a batch takes 5 ms, running it for 32 records less than 2.
 *
 * Two things about prepared statements of DuckDB 1.5, found by trying:
 *  - One with parameters that reads a table is planned anew at each run (duckdb issue 17237). One that
 *    reads none keeps its plan: so a batch comes in as parameters of the statement that stages it, and what later
 *    statements need of it stands in the stage.
 *  - One without parameters keeps its plan, with what the plan took from the statistics of the tables: on a table
 *    that was empty then, it finds nothing ever after (duckdb issues 23704 and 24182). So the store switches
 *    the optimizer `statistics_propagation` off (see index.ts); questions are no slower for it.
 */
import type {
  DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  DuckDBPreparedStatement,
  DuckDBResult,
} from '@duckdb/node-api';
import { TallybookError } from '../../engine/errors.ts';
import { beyondWord } from '../../engine/sums.ts';
import { stagingMacros } from './casts.ts';
import type { ReadGate } from './read-gate.ts';

export type Parameter = string | number | bigint | boolean | null | undefined;
export type Row = (string | number | bigint | boolean | null)[];

const listeners = new WeakMap<DuckDBInstance, (error: TallybookError) => void>();

/** Calls back when the database has given up: nothing can be done with it until it is opened again. */
export function whenFailed(instance: DuckDBInstance, listener: (error: TallybookError) => void): void {
  listeners.set(instance, listener);
}

export class Connection {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #prepared = new Map<string, DuckDBPreparedStatement>();

  readonly #gate: ReadGate | undefined;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, gate: ReadGate | undefined) {
    this.#instance = instance;
    this.#connection = connection;
    this.#gate = gate;
  }

  /** @param gate for a connection that only reads: the statements whose rows it reads go through it */
  static async open(instance: DuckDBInstance, gate?: ReadGate): Promise<Connection> {
    const connection = new Connection(instance, await instance.connect(), gate);
    await connection.execute("set timezone = 'UTC'");
    return connection;
  }

  /** With what takes records in needs beside: making it takes 30 ms. */
  static async openForStaging(instance: DuckDBInstance): Promise<Connection> {
    const connection = await Connection.open(instance);
    for (const macro of stagingMacros) await connection.execute(macro);
    return connection;
  }

  /** Runs one or more statements without parameters and without keeping them. */
  async execute(sql: string): Promise<void> {
    await this.#guard(() => this.#connection.run(sql));
  }

  /** Runs a statement that is kept for the next time. */
  async run(sql: string, ...parameters: Parameter[]): Promise<number> {
    const result = await this.result(sql, parameters);
    return Number(result.rowsChanged);
  }

  /** Runs a statement that is kept, and reads all its rows. Columns must be of types that JavaScript has. */
  async rows(sql: string, ...parameters: Parameter[]): Promise<Row[]> {
    return this.#read(async () => (await (await this.result(sql, parameters)).getRows()) as Row[]);
  }

  async result(sql: string, parameters: readonly Parameter[]): Promise<DuckDBResult> {
    return this.#guard(async () => {
      let statement = this.#prepared.get(sql);
      if (!statement) {
        statement = await this.#connection.prepare(sql);
        this.#prepared.set(sql, statement);
      }
      bind(statement, parameters);
      return statement.run();
    });
  }

  /** Runs a statement once, and reads its rows. */
  async askOnce(sql: string, parameters: readonly Parameter[] = []): Promise<Row[]> {
    return this.#read(async () => rowsOf(await this.#chunksOnce(sql, parameters)));
  }

  /** Runs a statement once whose columns are bigints without nulls, and copies them: the driver's memory goes with it. */
  async integers(
    sql: string,
    parameters: readonly Parameter[],
    columnCount: number,
  ): Promise<BigInt64Array[]> {
    return this.#read(async () => {
      const chunks = await this.#chunksOnce(sql, parameters);
      const rows = chunks.reduce((sum, chunk) => sum + chunk.rowCount, 0);
      return Array.from({ length: columnCount }, (_, column) => {
        const all = new BigInt64Array(rows);
        let at = 0;
        for (const chunk of chunks) {
          const { items } = chunk.getColumnVector(column) as unknown as { items: BigInt64Array };
          all.set(items, at);
          at += items.length;
        }
        return all;
      });
    });
  }

  /** Runs a statement once, for its chunks. A streaming result would hold the database open until it is collected. */
  async chunks(sql: string): Promise<DuckDBDataChunk[]> {
    return this.#read(() => this.#chunksOnce(sql, []));
  }

  /** One that is prepared is planned before it is run, and again with its parameters: without any it need not be. */
  async #chunksOnce(sql: string, parameters: readonly Parameter[]): Promise<DuckDBDataChunk[]> {
    if (parameters.length === 0) return (await this.#connection.run(sql)).fetchAllChunks();
    const statement = await this.#connection.prepare(sql);
    try {
      bind(statement, parameters);
      return await (await statement.run()).fetchAllChunks();
    } finally {
      statement.destroySync();
    }
  }

  /** Forgets the kept statements: after a change of tables they would have to be planned again. */
  forget(): void {
    for (const statement of this.#prepared.values()) statement.destroySync();
    this.#prepared.clear();
  }

  /**
   * Runs work in a transaction: all of it, or nothing.
   * @param committing runs the commit, when nothing stands in its way
   */
  async transaction<T>(
    work: () => Promise<T>,
    committing: (commit: () => Promise<void>) => Promise<void> = (commit) => commit(),
  ): Promise<T> {
    await this.run('begin transaction');
    try {
      const result = await work();
      await committing(async () => {
        await this.run('commit');
      });
      return result;
    } catch (error) {
      // A transaction that DuckDB has ended by itself cannot be rolled back again.
      await this.run('rollback').catch(() => undefined);
      throw error;
    }
  }

  interrupt(): void {
    this.#connection.interrupt();
  }

  close(): void {
    this.forget();
    this.#connection.closeSync();
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    return this.#guard(() => (this.#gate ? this.#gate.read(work) : work()));
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const told = asTallybookError(error);
      if (told instanceof TallybookError && told.code === 'store_failed')
        listeners.get(this.#instance)?.(told);
      throw told;
    }
  }
}

/** The driver's own way takes four times as long: 120 ms for 100,000 rows of two integers, not 30. */
function rowsOf(chunks: DuckDBDataChunk[]): Row[] {
  const rows: Row[] = [];
  for (const chunk of chunks) {
    const columns = Array.from({ length: chunk.columnCount }, (_, column) => chunk.getColumnVector(column));
    for (let row = 0; row < chunk.rowCount; row++)
      rows.push(columns.map((column) => column.getItem(row) as Row[number]));
  }
  return rows;
}

function bind(statement: DuckDBPreparedStatement, parameters: readonly Parameter[]): void {
  parameters.forEach((value, position) => {
    const index = position + 1;
    if (value === null || value === undefined) statement.bindNull(index);
    else if (typeof value === 'string') statement.bindVarchar(index, value);
    else if (typeof value === 'bigint') statement.bindBigInt(index, value);
    else if (typeof value === 'boolean') statement.bindBoolean(index, value);
    else statement.bindBigInt(index, BigInt(value));
  });
}

/** DuckDB's errors that have a meaning of their own for the user; all others stay what they are: defects of ours. */
function asTallybookError(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error);
  if (/^FATAL Error|database has been invalidated/.test(message)) {
    const why = /Original error: "?([^"\n]+)/.exec(message)?.[1] ?? message.split('\n')[0];
    const detail = `the database has given up, and must be opened again (${why}); what was acknowledged is on disk`;
    return new TallybookError('store_failed', detail, { cause: error, retryAfter: 10 });
  }
  if (
    /no space left|disk (is )?full|could not write.*(space|block)|max_temp_directory_size|ENOSPC/i.test(
      message,
    )
  ) {
    const detail = `the disk is full, and nothing of this was kept; make room, then send it again (${message.split('\n')[0]})`;
    return new TallybookError('storage_full', detail, { cause: error });
  }
  if (/^Out of Memory Error/.test(message)) {
    const limit = /\/([0-9.]+ [KMGT]iB) used\)/.exec(message)?.[1];
    const detail = `this needs more memory than the database may use${limit ? `, ${limit}` : ''}, and nothing of it was kept; give it more with --memory, or ask for less at a time`;
    return new TallybookError('out_of_memory', detail, { cause: error, retryAfter: 10 });
  }
  if (/Type (HUGEINT|INT128) with value \S+ can't be cast .* destination type INT64/.test(message))
    return beyondWord(error);
  if (
    /could not convert string "[-0-9.]+" to DECIMAL\(38|overflow in .*(addition|sum|subtract|cast)|overflow on|out of range.*(sum|decimal|hugeint)|casting value "[-0-9.]+" to type decimal.* out of range/i.test(
      message,
    ) &&
    !/invalid input/i.test(message)
  ) {
    return new TallybookError(
      'sum_out_of_range',
      'a sum has more than 38 digits; ask about fewer records at a time',
      { cause: error },
    );
  }
  return error;
}
