/**
 * The DuckDB store: a ledger in one file, in this process. The default.
 *
 * One connection writes, under a lock; files are published beside it on connections of their own; a few
 * connections read. What is acknowledged is in DuckDB's log and synced; or, when it came in a small batch of new
 * records, in a journal beside it for a moment (see intake.ts), and whoever asks waits until it is in the database.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { DuckDBInstance, DuckDBVector } from '@duckdb/node-api';
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { type Micros, nowMicros } from '../../engine/calendar.ts';
import {
  type CopiesLedger,
  type LedgerFiller,
  type LedgerReader,
  unfinishedCopy,
} from '../../engine/copied-ledger.ts';
import { TallybookError } from '../../engine/errors.ts';
import { Lock } from '../../engine/lock.ts';
import type { Plan } from '../../engine/plan.ts';
import type {
  Answer,
  BacksUp,
  Check,
  Delivery,
  EntriesRequest,
  Entry,
  Fate,
  FileDelivery,
  MayFail,
  Store,
  StreamState,
  TextDelivery,
} from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import type { Sums } from '../../engine/sums.ts';
import type { Receipt } from '../../engine/verdicts.ts';
import { appendRollup, isFine } from './append.ts';
import { ask } from './ask.ts';
import { checkpoint, isLogLong, logBytes } from './checkpoint.ts';
import { Connection, whenFailed } from './connection.ts';
import { keptCopy, ledgerFiller, ledgerReader } from './copy.ts';
import { fateOf, listEntries } from './entries.ts';
import { FoldWriter } from './fold.ts';
import { IdFilter, mergeRanges, type SeqRange } from './id-filter.ts';
import { Intake, type IntakeContext } from './intake.ts';
import { type Frame, Journal } from './journal.ts';
import type { JournaledBatch, Stood } from './journaled-batch.ts';
import { type KeptIds, readKeptIds, writeKeptIds } from './kept-ids.ts';
import { LedgerState } from './ledger-state.ts';
import { lookupsOf, readRun } from './lookup-filter.ts';
import { entriesOf, literal, quote, rollupOf, schemaOf, sqlType, storedFields } from './names.ts';
import { openInstance } from './open-instance.ts';
import { PartWriter } from './part.ts';
import { checkPatterns } from './patterns.ts';
import { publishJournaled, publishTexts } from './publish.ts';
import { publishFile } from './publish-file.ts';
import { ReadGate } from './read-gate.ts';
import { ReadPool } from './read-pool.ts';
import { isTight, roomFor } from './room.ts';
import { bookTables, mergedColumn, rollupTable, schemaVersion, streamTables } from './schema.ts';
import { asOf } from './snapshot.ts';
import { seqsPerRow } from './stage.ts';
import { standingRecords } from './standing-records.ts';
import { agrees, hashOf } from './string-hash.ts';
import { askSums } from './sums.ts';
import {
  backUp,
  compactDays,
  compactedPrefix,
  compactRollup,
  droppedBeforeKey,
  dropRecords,
  grownAtLeast,
  grownDaysRecords,
  hasGrown,
  lastSeqKey,
  setBook,
  verifyStream,
} from './tend.ts';
import { ThreadCount } from './thread-count.ts';

export interface DuckDBStoreOptions {
  directory: string;
  /** Microseconds; for tests. */
  clock?: () => Micros;
  /** What DuckDB may use, such as `1GB`; beyond it, it spills to disk. */
  memoryLimit?: string;
  threads?: number;
  /** How long small batches may wait in the journal; for tests. */
  foldAfterMilliseconds?: number;
  /** By how many ids a stream's filter grows at least before it is kept on disk again; for tests. */
  keepIdsAfter?: number;
  /** To be filled with a copy: one that was not finished is no reason to refuse then. */
  toFill?: boolean;
}

const database = 'tallybook';
/** Without these, answers of DuckDB 1.5 are right. */
const disabledOptimizers = [
  // Kept plans must not depend on what the tables held when they were made: see connection.ts.
  'statistics_propagation',
  // With two threads, a filter that one side of a join makes for the other may come to a grouped side too early, and
  // rows are lost: once in some thousand runs of a small statement (duckdb issues 22075 and 21757).
  'join_filter_pushdown',
  // It finds the rows of a short list first and joins their other columns to them; without the filter above, that reads
  // the whole table: the last commit before a time, among 30 million, took 300 ms, not 2.
  'late_materialization',
];
const memoryLimitDefault = '1GB';
/** Connections that answer questions. */
const readersMax = 4;
/** A log up to this length is left for the next start. */
const logBytesLeft = 16 * 1024 * 1024;
const coverAfterMilliseconds = 1_000;
const compactGrownAfterMilliseconds = 2_000;
const keepIdsAfterDefault = 1 << 20;

export async function openDuckDBStore(
  options: DuckDBStoreOptions,
): Promise<Store & BacksUp & MayFail & CopiesLedger> {
  const { directory } = options;
  const spill = join(directory, 'tmp');
  const threads = options.threads ?? availableParallelism();
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new TallybookError(
      'directory_unusable',
      `${directory} cannot be used: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const path = join(directory, `${database}.duckdb`);
  const instance = await openInstance(path, {
    memory_limit: options.memoryLimit ?? memoryLimitDefault,
    threads: String(threads),
    temp_directory: spill,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    // Never by itself: see checkpoint.ts.
    checkpoint_threshold: '1TB',
    disabled_optimizers: disabledOptimizers.join(','),
  });
  try {
    const writer = await Connection.openForStaging(instance);
    await writer.execute('pragma disable_checkpoint_on_shutdown');
    await checkVersion(writer, directory);
    await writer.execute(bookTables);
    const copy = await keptCopy(writer);
    if (copy && !copy.finished && !options.toFill) throw unfinishedCopy(directory);
    // Only now: another process that has the directory uses its temporary files.
    await rm(spill, { recursive: true, force: true });
    await mkdir(spill, { recursive: true });
    await writer.execute(
      `attach ${literal(join(spill, 'staging.duckdb'))} as staging; attach ':memory:' as memory_staging`,
    );
    const [last] = await writer.rows(
      'select coalesce(max(batch), 0)::double, coalesce(max(part), 0)::double, coalesce(epoch_us(max(recorded_at)), 0) from parts',
    );
    const journal = new Journal(directory);
    const unfinished = await unfinishedRuns(writer, journal);
    const frames = unfinished.flat();
    const state = new LedgerState(
      Math.max(Number(last![0]), ...frames.map(({ batch }) => batch)),
      Number(last![1]),
      [BigInt(last![2] as bigint), ...frames.map(({ recordedAt }) => BigInt(recordedAt))].reduce((a, b) =>
        a > b ? a : b,
      ),
      await asOf(writer, undefined),
      options.clock ?? nowMicros,
    );
    const threadCount = new ThreadCount(await Connection.open(instance), threads);
    const knowsHashes = await agrees(writer);
    return new DuckDBStore(
      {
        instance,
        writer,
        state,
        threads: threadCount,
        path,
        spill,
        keepIdsAfter: options.keepIdsAfter ?? keepIdsAfterDefault,
      },
      { journal, unfinished, knowsHashes, foldAfterMilliseconds: options.foldAfterMilliseconds },
    );
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

/** What the journal holds and the database does not: the process before this one was cut off. */
async function unfinishedRuns(connection: Connection, journal: Journal): Promise<Frame[][]> {
  const unfinished: Frame[][] = [];
  for (const frames of await journal.read()) {
    const batches = frames.map(({ batch }) => batch);
    const rows = await connection.askOnce(
      `select distinct batch from parts where batch in (${batches.join(', ')})`,
    );
    const known = new Set(rows.map(([batch]) => Number(batch)));
    const missing = frames.filter(({ batch }) => !known.has(batch));
    if (missing.length > 0) unfinished.push(missing);
    else journal.finished(frames[0]!.run);
  }
  return unfinished;
}

async function checkVersion(connection: Connection, directory: string): Promise<void> {
  const tables = await connection.rows(
    "select 1 from duckdb_tables() where table_name = 'book' and schema_name = 'main'",
  );
  if (tables.length === 0) {
    // In one: tables without a version would be taken for those of any.
    await connection.transaction(async () => {
      await connection.execute(bookTables);
      await setBook(connection, 'schema_version', String(schemaVersion));
      await setBook(connection, 'hash_of_tallybook', await hashOfTallybook(connection));
    });
    return;
  }
  const book = await readBook(connection);
  // Where it is missing, a first start of an earlier Tallybook was cut off between the tables and the version.
  const version = Number(book.get('schema_version') ?? 1);
  if (version > schemaVersion) {
    throw new TallybookError(
      'newer_database',
      `${directory} was written by a newer Tallybook (schema ${version}, this one knows ${schemaVersion}); use that version or a newer one`,
    );
  }
  if (version < 2) await markMerged(connection);
  // The hash function belongs to DuckDB; should a new version change it, the hashes are computed anew. That it is done is
  // written down last: cut off before, all of it is done again.
  const hash = await hashOfTallybook(connection);
  if (book.get('hash_of_tallybook') !== hash) {
    for (const [schema] of await connection.rows(
      "select schema_name from duckdb_tables() where table_name = 'entries' and schema_name like 'stream_%'",
    )) {
      await connection.execute(`update ${quote(schema as string)}.entries set _hash = hash(_id)`);
    }
    await connection.execute("delete from book where starts_with(key, 'ids ')");
    await setBook(connection, 'hash_of_tallybook', hash);
  }
}

/** From version 1 to 2: which rows a compaction has merged. None is known to be, so all are merged once more, soon. */
async function markMerged(connection: Connection): Promise<void> {
  await connection.transaction(async () => {
    const tables = await connection.rows(
      "select schema_name, table_name from duckdb_tables() where starts_with(schema_name, 'stream_') and starts_with(table_name, 'rollup_')",
    );
    for (const [schema, table] of tables)
      await connection.execute(
        `alter table ${quote(schema as string)}.${quote(table as string)} add column ${mergedColumn}`,
      );
    await connection.execute(`delete from book where starts_with(key, ${literal(compactedPrefix)})`);
    await setBook(connection, 'schema_version', '2');
  });
}

async function hashOfTallybook(connection: Connection): Promise<string> {
  return (await connection.rows("select hash('tallybook')::varchar"))[0]![0] as string;
}

interface Opened {
  instance: DuckDBInstance;
  writer: Connection;
  state: LedgerState;
  threads: ThreadCount;
  path: string;
  /** A directory for temporary files. */
  spill: string;
  keepIdsAfter: number;
}

class DuckDBStore implements Store, BacksUp, MayFail, CopiesLedger {
  readonly backsUpToDirectory = true;
  readonly copiesLedger = true;
  readonly #instance: DuckDBInstance;
  readonly #writer: Connection;
  readonly #path: string;
  readonly #threads: ThreadCount;
  readonly #spill: string;
  readonly #state: LedgerState;
  readonly #parts: PartWriter;
  readonly #folds: FoldWriter;
  readonly #readers: ReadPool;
  /** Who writes does not wait for those who ask. */
  readonly #writersReader: ReadPool;
  readonly #gate: ReadGate;
  readonly #lock = new Lock();
  readonly #intake: Intake;
  readonly #tending = new Lock();
  readonly #files = new Set<Promise<unknown>>();
  #filesBegun = 0;
  readonly #filesAgain = new Lock();
  #fileNumber = 0;
  #coverTimer: NodeJS.Timeout | undefined;
  #compactTimer: NodeJS.Timeout | undefined;
  #covering: Promise<void> | undefined;
  #coveringLookups: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;
  #keeping: Promise<void> | undefined;
  readonly #keepIdsAfter: number;
  /** How many ids of a stream are kept on disk, as far as somebody has looked. */
  readonly #keptHashes = new Map<string, number>();
  #checkpointing: Promise<void> | undefined;
  /** Records that came in small batches since. */
  readonly #sinceCompaction = new Map<Rollup, number>();
  #closed = false;
  readonly #knowsHashes: boolean;

  constructor(
    { instance, writer, state, threads, path, spill, keepIdsAfter }: Opened,
    intake: Omit<IntakeContext, 'state' | 'lock' | 'room' | 'standing' | 'foldIn'>,
  ) {
    this.#keepIdsAfter = keepIdsAfter;
    this.#knowsHashes = intake.knowsHashes;
    this.#threads = threads;
    threads.calm();
    this.#instance = instance;
    this.#writer = writer;
    this.#path = path;
    this.#spill = spill;
    this.#state = state;
    this.#parts = new PartWriter(writer, state);
    this.#folds = new FoldWriter(writer, state);
    this.#gate = new ReadGate(() => isTight(path));
    const connect = () => Connection.open(instance, this.#gate);
    this.#readers = new ReadPool(connect, readersMax);
    this.#writersReader = new ReadPool(connect, 1);
    this.#intake = new Intake({
      ...intake,
      state,
      lock: this.#lock,
      room: () => roomFor(path),
      standing: (stream, hashes) => this.#standing(stream, hashes),
      foldIn: (batches) => this.#foldIn(batches),
    });
  }

  prepare(streams: Stream[]): Promise<Map<string, StreamState>> {
    return this.#exclusively(async () => {
      const existing = await columnsOfTables(this.#writer);
      const before = await readBook(this.#writer);
      for (const stream of streams) await this.#createTables(stream, existing, before);
      const book = await readBook(this.#writer);
      const states = new Map<string, StreamState>();
      for (const stream of streams) states.set(stream.name, await this.#stateOf(stream, book));
      this.#writer.forget();
      // What is replayed leaves it in the commit of others, whose own tables are made by then.
      await this.#parts.prepare([rejectsStream]);
      await this.#intake.recover();
      this.#coverSoon();
      this.#compactGrownSoon();
      return states;
    });
  }

  async publish(deliveries: Delivery[]): Promise<Receipt[]> {
    this.#checkOpen();
    const file = deliveries.find((delivery) => delivery.content.kind !== 'texts');
    if (file) {
      if (deliveries.length > 1) throw new Error('a delivery with a file travels alone');
      return [await this.#threads.during(() => this.#publishFile(file as FileDelivery))];
    }
    const texts = deliveries as TextDelivery[];
    const taken = await this.#intake.take(texts);
    if (taken) return taken;
    const receipts = await this.#intake.exclusively(() =>
      publishTexts(this.#writer, this.#parts, this.#state, texts, this.#gate),
    );
    this.#afterCommit(texts);
    return receipts;
  }

  #standing(stream: Stream, hashes: readonly bigint[]): Promise<Map<string, Stood>> {
    const { filter } = this.#state.books(stream);
    const ranges = mergeRanges(hashes.flatMap((hash) => filter.rangesOf(hash)));
    return this.#writersReader.use((connection) => standingRecords(connection, stream, hashes, ranges));
  }

  async #foldIn(batches: JournaledBatch[]): Promise<Error | undefined> {
    const defect = await publishJournaled(
      this.#writer,
      this.#folds,
      this.#parts,
      this.#state,
      batches,
      this.#gate,
    );
    this.#afterCommit(batches.flatMap(({ deliveries }) => deliveries));
    return defect;
  }

  #afterCommit(deliveries: TextDelivery[]): void {
    this.#coverFilters(deliveries.map(({ stream }) => stream));
    this.#compactWhenDue(deliveries);
    this.#coverLookups();
    this.#keepIdsLater(deliveries.map(({ stream }) => stream));
    this.#checkpointWhenLong();
  }

  #checkpointWhenLong(): void {
    if (this.#checkpointing || this.#closed) return;
    this.#checkpointing = this.#checkpointLong()
      .catch(() => undefined) // nothing is lost: it is tried again after the next commit
      .finally(() => {
        this.#checkpointing = undefined;
      });
  }

  async #checkpointLong(): Promise<void> {
    const staging = join(this.#spill, 'staging.duckdb');
    if (await isLogLong(this.#path)) await this.#lock.run(() => checkpoint(this.#writer, this.#path));
    if (await isLogLong(staging)) await this.#lock.run(() => checkpoint(this.#writer, staging, 'staging'));
  }

  /**
   * A file that found too little memory while rollups were merged, or other files published, is published again when they
   * are done: a rollup of 50 million rows leaves little beside it.
   */
  async #publishFile(delivery: FileDelivery): Promise<Receipt> {
    const begun = ++this.#filesBegun;
    const wasBeside = this.#tending.isHeld || this.#files.size > 0;
    try {
      return await this.#tryFile(delivery);
    } catch (error) {
      const isBeside = this.#tending.isHeld || this.#filesBegun > begun;
      const isShort = error instanceof TallybookError && error.code === 'out_of_memory';
      if (!isShort || !(wasBeside || isBeside)) throw error;
    }
    return this.#filesAgain.run(async () => {
      await this.#tending.run(async () => undefined);
      await Promise.all(this.#files);
      this.#checkOpen();
      delivery.content.signal?.throwIfAborted();
      return this.#tryFile(delivery);
    });
  }

  async #tryFile(delivery: FileDelivery): Promise<Receipt> {
    // Started under the lock, so that it never starts while tables are changed.
    const { working } = await this.#lock.run(async () => {
      const publishing = publishFile(
        {
          connect: () => Connection.openForStaging(this.#instance),
          writer: this.#writer,
          exclusively: (work) => this.#intake.exclusively(work),
          gate: this.#gate,
          state: this.#state,
          nextNumber: () => ++this.#fileNumber,
          spillDirectory: this.#spill,
        },
        this.#state.upToDate(delivery),
      );
      const settled: Promise<unknown> = publishing
        .catch(() => undefined)
        .finally(() => {
          this.#files.delete(settled);
          this.#coverLookups();
          this.#checkpointWhenLong();
          this.#compactGrownSoon();
        });
      this.#files.add(settled);
      return { working: publishing };
    });
    return working;
  }

  async ask(plan: Plan): Promise<Answer> {
    this.#checkOpen();
    await this.#intake.settled();
    const books = this.#state.books(plan.stream);
    return this.#read((connection) => ask(connection, plan, books, () => this.#state.last));
  }

  async sums(plans: readonly Plan[]): Promise<Sums> {
    this.#checkOpen();
    await this.#intake.settled();
    const books = this.#state.books(plans[0]!.stream);
    return this.#read((connection) => askSums(connection, plans, books, () => this.#state.last));
  }

  async entries(request: EntriesRequest): Promise<Entry[]> {
    this.#checkOpen();
    await this.#intake.settled();
    const books = this.#state.books(request.stream);
    return this.#read((connection) => listEntries(connection, request, books));
  }

  async fate(stream: Stream, id: string): Promise<Fate> {
    this.#checkOpen();
    await this.#intake.settled();
    const books = this.#state.books(stream);
    const rangesOfId = () =>
      this.#knowsHashes ? books.filter.rangesOf(hashOf(id)) : [{ from: 0n, to: books.nextSeq }];
    return this.#read((connection) => fateOf(connection, stream, id, rangesOfId));
  }

  tend(work: { drop: { stream: Stream; before: Micros }[]; compact: boolean }): Promise<{ dropped: number }> {
    this.#checkOpen();
    return this.#threads.during(() =>
      this.#tending.run(async () => {
        let dropped = 0;
        for (const { stream, before } of work.drop) {
          const { droppedBefore } = this.#state.books(stream);
          if (droppedBefore !== undefined && before <= droppedBefore) continue;
          dropped += await this.#exclusively(async () => {
            const rows = await this.#state.drop(() => dropRecords(this.#writer, stream, before, this.#gate));
            await this.#forgetDropped(stream, before);
            return rows;
          });
        }
        if (work.compact) {
          for (const { stream } of [...this.#state.streams.values()])
            await this.#compact(stream, stream.rollups);
          await this.#lock.run(() => checkpoint(this.#writer, this.#path));
        }
        return { dropped };
      }),
    );
  }

  /** Filters would grow for ever. */
  async #forgetDropped(stream: Stream, before: Micros): Promise<void> {
    const books = this.#state.books(stream);
    books.droppedBefore = before;
    const [[first] = []] = await this.#writer.askOnce(`select min(_seq) from ${entriesOf(stream)}`);
    for (const filter of [books.filter, ...books.lookups.values()])
      filter.forgetBefore((first as bigint | null) ?? books.nextSeq);
  }

  async verify(): Promise<Check[]> {
    this.#checkOpen();
    await this.#intake.settled();
    const streams = [...this.#state.streams.values()];
    // Not beside a compaction: each needs much memory.
    return this.#tending.run(() =>
      this.#read((connection) =>
        connection.transaction(async () => {
          const checks: Check[] = [];
          for (const { stream, droppedBefore } of streams)
            checks.push(...(await verifyStream(connection, stream, droppedBefore !== undefined)));
          return checks;
        }),
      ),
    );
  }

  whenFailed(listener: (error: TallybookError) => void): void {
    whenFailed(this.#instance, listener);
  }

  async backup(directory: string): Promise<void> {
    this.#checkOpen();
    await this.#intake.settled();
    return this.#tending.run(() =>
      this.#read((connection) => backUp(connection, database, directory, this.#gate)),
    );
  }

  async reader(): Promise<LedgerReader> {
    this.#checkOpen();
    await this.#intake.settled();
    return ledgerReader((work) => this.#read(work));
  }

  async filler(): Promise<LedgerFiller> {
    this.#checkOpen();
    this.#state.forgetLast();
    const filler = ledgerFiller(this.#writer, dirname(this.#path));
    return {
      ...filler,
      addBlock: async (stream, block) => {
        await filler.addBlock(stream, block);
        if (await isLogLong(this.#path)) await checkpoint(this.#writer, this.#path);
      },
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#coverTimer);
    clearTimeout(this.#compactTimer);
    await Promise.all([
      ...this.#files,
      this.#covering,
      this.#coveringLookups,
      this.#compacting,
      this.#keeping,
      this.#checkpointing,
    ]);
    await this.#tending.run(async () => undefined);
    await this.#intake.settled().catch(() => undefined); // it is in the journal, for the next start
    await this.#keepIds(
      [...this.#state.streams.values()]
        .map(({ stream }) => stream)
        .filter((stream) => this.#areIdsDue(stream)),
    );
    await this.#lock.run(async () => {
      await this.#intake.close();
      await this.#writersReader.close();
      await this.#readers.close();
      await this.#threads.close();
      // A long log is folded in now, rather than replayed at the next start. A short one, as an import leaves it, is
      // not worth the 2 s that this takes after 5 million records.
      if ((await logBytes(this.#path)) > logBytesLeft)
        await checkpoint(this.#writer, this.#path).catch(() => undefined);
      this.#writer.close();
      this.#instance.closeSync();
    });
  }

  #read<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#threads.during(() => this.#readers.use(work));
  }

  #checkOpen(): void {
    if (this.#closed) throw new TallybookError('closing', 'the store is closed', { retryAfter: 1 });
  }

  /** Holds the writer while no file is being published: for changes of tables, and for dropping. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      await Promise.all(this.#files);
      const done = await this.#intake.exclusively(async () =>
        this.#files.size > 0 ? undefined : { value: await work() },
      );
      if (done) return done.value;
    }
  }

  /** Tables, columns and rollups that are not there yet; what is new is filled in the same commit. */
  async #createTables(
    stream: Stream,
    existing: ReadonlyMap<string, ReadonlySet<string>>,
    book: ReadonlyMap<string, string>,
  ): Promise<void> {
    const entries = entriesOf(stream);
    const columns = existing.get(unquoted(entries));
    const known = this.#state.streams.get(stream.name);
    // Not of a ledger that is opened.
    if (!columns || known) await checkPatterns(this.#writer, stream, known?.stream);
    const added = storedFields(stream).filter(({ name }) => columns && !columns.has(name));
    // What a change that was cut off has left: a field maybe with another type, a rollup that was not kept since.
    const leftFields = storedFields(stream).filter(
      ({ name }) => known && !known.stream.field(name) && columns?.has(name),
    );
    const kept = new Set(
      stream.rollups
        .filter((rollup) => !known || sameRollup(known.stream, stream, rollup))
        .map((rollup) => unquoted(rollupOf(stream, rollup)))
        .filter((name) => existing.has(name)),
    );
    const rollups = stream.rollups.filter((rollup) => !kept.has(unquoted(rollupOf(stream, rollup))));
    const leftRollups = [...existing.keys()].filter(
      (name) => name.startsWith(unquoted(`${schemaOf(stream)}.rollup_`)) && !kept.has(name),
    );
    if (columns && [added, leftFields, rollups, leftRollups].every(({ length }) => length === 0)) return;
    const connection = this.#writer;
    await connection.transaction(async () => {
      await connection.execute(streamTables(stream));
      for (const field of leftFields) {
        if (await this.#hasValues(entries, quote(field.name))) continue;
        await connection.execute(`alter table ${entries} drop column ${quote(field.name)}`);
        added.push(field);
      }
      for (const field of added)
        await connection.execute(`alter table ${entries} add column ${quote(field.name)} ${sqlType(field)}`);
      for (const name of leftRollups)
        await connection.execute(`drop table ${name.split('.').map(quote).join('.')}`);
      for (const rollup of rollups) {
        await connection.execute(rollupTable(stream, rollup));
        await connection.execute(appendRollup(stream, rollup, entries, '', 'false'));
        const dropped = book.get(droppedBeforeKey(stream));
        if (dropped !== undefined)
          await setBook(connection, `complete_from ${stream.name} ${rollup.name}`, dropped);
      }
    });
  }

  async #stateOf(stream: Stream, book: ReadonlyMap<string, string>): Promise<StreamState> {
    const before = book.get(droppedBeforeKey(stream));
    const known = this.#state.streams.get(stream.name);
    if (known) {
      known.stream = stream;
      for (const [name, filter] of lookupsOf(stream.lookups))
        if (!known.lookups.has(name)) known.lookups.set(name, filter);
    } else {
      const lastSeq = BigInt(book.get(lastSeqKey(stream)) ?? 0);
      await this.#readBooks(stream, before === undefined ? undefined : BigInt(before), lastSeq);
    }
    const complete = stream.rollups.flatMap((rollup) => {
      const from = book.get(`complete_from ${stream.name} ${rollup.name}`);
      return from === undefined ? [] : [[rollup.name, BigInt(from)] as const];
    });
    return { droppedBefore: this.#state.books(stream).droppedBefore, rollupsCompleteFrom: new Map(complete) };
  }

  async #hasValues(table: string, column: string): Promise<boolean> {
    return (
      (await this.#writer.askOnce(`select 1 from ${table} where ${column} is not null limit 1`)).length > 0
    );
  }

  async #readBooks(stream: Stream, droppedBefore: Micros | undefined, lastSeq: bigint): Promise<void> {
    const [row] = await this.#writer.askOnce(
      `select coalesce(max(_seq), 0), coalesce(min(_sign), 1)::integer from ${entriesOf(stream)}`,
    );
    const last = [BigInt(row![0] as bigint), lastSeq].reduce((a, b) => (a > b ? a : b));
    const filter = new IdFilter();
    if (last > 0n) filter.leaveUncovered({ from: 0n, to: last });
    this.#state.streams.set(stream.name, {
      stream,
      nextSeq: last + 1n,
      filter,
      hasReversals: row![1] === -1,
      lookups: lookupsOf(stream.lookups),
      droppedBefore,
    });
  }

  /** A server will be written to; a command that takes in a file has begun by then, and needs no filters. */
  #coverSoon(): void {
    clearTimeout(this.#coverTimer);
    this.#coverTimer = setTimeout(() => {
      if (this.#files.size > 0) return;
      this.#coverFilters([...this.#state.streams.values()].map(({ stream }) => stream));
      this.#coverLookups();
    }, coverAfterMilliseconds).unref();
  }

  /**
   * Brings the filters of known ids up to date, in the background: of streams that small batches are sent to, for files
   * do not use them. Until then, what is missing is scanned.
   */
  #coverFilters(streams: Stream[]): void {
    if (this.#covering || this.#closed) return;
    const behind = [...new Set(streams)]
      .map((stream) => this.#state.books(stream))
      .filter(({ filter }) => filter.uncovered.length > 0);
    if (behind.length === 0) return;
    this.#covering = this.#readers
      .use(async (connection) => {
        for (const { stream, filter } of behind) {
          await this.#takeOverIds(connection, stream);
          await filter.cover(
            (range) => readHashes(connection, stream, range),
            () => this.#closed,
          );
        }
      })
      .catch(() => undefined) // exactness does not depend on it; the next publish tries again
      .finally(() => {
        this.#covering = undefined;
        this.#keepIdsLater(streams);
      });
  }

  /** Reads what a run before this one has kept of a filter, once. */
  async #takeOverIds(connection: Connection, stream: Stream): Promise<void> {
    const { filter } = this.#state.books(stream);
    if (this.#keptHashes.has(stream.name)) return;
    this.#keptHashes.set(stream.name, 0);
    const range = filter.uncovered[0]!;
    if (range.from > 0n) return;
    const [[mark] = []] = await connection.askOnce('select value from book where key = $1::varchar', [
      idsKey(stream),
    ]);
    const kept = mark === undefined ? undefined : await readKeptIds(this.#idsPath(stream), mark as string);
    if (!kept || kept.upTo > range.to) return;
    const later = kept.upTo < range.to ? [{ from: kept.upTo + 1n, to: range.to }] : [];
    filter.takeOver(range, kept.segments, [...kept.uncovered, ...later]);
    this.#keptHashes.set(stream.name, filter.hashes);
    const [[first] = []] = await connection.askOnce(`select min(_seq) from ${entriesOf(stream)}`);
    filter.forgetBefore((first as bigint | null) ?? 0n);
  }

  #keepIdsLater(streams: Stream[]): void {
    if (this.#keeping || this.#closed) return;
    const due = [...new Set(streams)].filter((stream) => this.#areIdsDue(stream));
    if (due.length === 0) return;
    this.#keeping = this.#keepIds(due).finally(() => {
      this.#keeping = undefined;
    });
  }

  /** When it has grown by a quarter: so each id is written four times at most, however many there are. */
  #areIdsDue(stream: Stream): boolean {
    const kept = this.#keptHashes.get(stream.name) ?? 0;
    return this.#state.books(stream).filter.hashes - kept >= Math.max(this.#keepIdsAfter, kept / 4);
  }

  async #keepIds(streams: Stream[]): Promise<void> {
    for (const stream of streams) {
      const { filter } = this.#state.books(stream);
      const path = this.#idsPath(stream);
      const mark = randomUUID();
      try {
        const ids = await this.#lock.run(async (): Promise<KeptIds | undefined> => {
          // What a file on its way has reserved is committed later.
          if (this.#files.size > 0) return undefined;
          // Seqs that were reserved after that, and not used, are given again after a start.
          const last = `select coalesce(max(_seq), 0) from ${entriesOf(stream)}`;
          const [[upTo] = []] = await this.#writer.askOnce(last);
          return { ...filter.state, upTo: upTo as bigint };
        });
        if (!ids) continue;
        const hashes = ids.segments.reduce((sum, segment) => sum + segment.hashes, 0);
        await writeKeptIds(`${path}.unfinished`, mark, ids);
        await this.#lock.run(async () => {
          await rename(`${path}.unfinished`, path);
          await this.#writer.transaction(() => setBook(this.#writer, idsKey(stream), mark));
          this.#keptHashes.set(stream.name, hashes);
        });
      } catch {
        // They are learned again at the next start.
      }
    }
  }

  #idsPath(stream: Stream): string {
    return join(dirname(this.#path), `ids-${stream.name}`);
  }

  /**
   * Fills the filters of looked-up values with runs that are full, in the background. A run is taken when everything
   * before its end is committed: under the lock, while no file is on its way.
   */
  #coverLookups(): void {
    if (this.#coveringLookups || this.#closed) return;
    const due = [...this.#state.streams.values()].flatMap(({ stream, nextSeq, lookups }) =>
      [...lookups]
        .filter(([, filter]) => filter.nextRun(nextSeq))
        .map(([name, filter]) => ({ stream, name, filter })),
    );
    if (due.length === 0) return;
    this.#coveringLookups = this.#readers
      .use(async (connection) => {
        for (const { stream, name, filter } of due) {
          const nextRun = async () =>
            this.#files.size > 0 || this.#closed
              ? undefined
              : filter.nextRun(this.#state.books(stream).nextSeq);
          for (let run = await this.#lock.run(nextRun); run; run = await this.#lock.run(nextRun))
            filter.add(run, await readRun(connection, stream, name, run));
        }
      })
      .catch(() => undefined) // what is not covered is read
      .finally(() => {
        this.#coveringLookups = undefined;
      });
  }

  /**
   * A file leaves rows of a rollup as they were grouped. Ordered, as compaction leaves them, they are asked about twice as
   * fast, so that is done in a moment when no other file comes. A command that takes in a file has ended by then.
   */
  #compactGrownSoon(): void {
    clearTimeout(this.#compactTimer);
    if (this.#closed) return;
    this.#compactTimer = setTimeout(() => {
      if (this.#files.size === 0) this.#compactLater(() => this.#grownRollups());
    }, compactGrownAfterMilliseconds).unref();
  }

  async #grownRollups(): Promise<Due[]> {
    const due: Due[] = [];
    await this.#readers.use(async (connection) => {
      for (const { stream, nextSeq } of [...this.#state.streams.values()]) {
        const rollups: Rollup[] = [];
        for (const rollup of stream.rollups)
          if (await hasGrown(connection, stream, rollup, nextSeq)) rollups.push(rollup);
        due.push({ stream, rollups });
      }
    });
    return due;
  }

  /** Compacts rollups that have grown by many small batches, one at a time, in the background. */
  #compactWhenDue(deliveries: TextDelivery[]): void {
    for (const { stream, content } of deliveries) {
      for (const rollup of stream.rollups)
        this.#sinceCompaction.set(rollup, (this.#sinceCompaction.get(rollup) ?? 0) + content.texts.length);
    }
    if (this.#files.size > 0) return;
    const due = [...new Set(deliveries.map(({ stream }) => stream))]
      .map((stream) => ({ stream, rollups: stream.rollups.filter((one) => this.#isDue(stream, one)) }))
      .filter(({ rollups }) => rollups.length > 0);
    if (due.length > 0) this.#compactLater(async () => due);
  }

  #compactLater(find: () => Promise<Due[]>): void {
    if (this.#compacting || this.#closed) return;
    this.#compacting = this.#tending
      .run(async () => {
        for (const { stream, rollups } of await find())
          if (!this.#closed && rollups.length > 0) await this.#compact(stream, rollups);
      })
      .catch(() => undefined) // nothing is lost: the rows are right as they are, only more of them
      .finally(() => {
        this.#compacting = undefined;
      });
  }

  /** The more there is to write anew, the rarer, so that the cost per record stays the same. */
  #isDue(stream: Stream, rollup: Rollup): boolean {
    const held = Number(this.#state.books(stream).nextSeq / seqsPerRow);
    const most = isFine(rollup) ? grownDaysRecords : Math.max(grownAtLeast, held / 4);
    return (this.#sinceCompaction.get(rollup) ?? 0) > most;
  }

  /** Undefined while a file is on its way, which has its seqs already. */
  #committedBefore(stream: Stream): Promise<bigint | undefined> {
    return this.#lock.run(async () => (this.#files.size > 0 ? undefined : this.#state.books(stream).nextSeq));
  }

  async #compact(stream: Stream, rollups: readonly Rollup[]): Promise<void> {
    for (const rollup of rollups) this.#sinceCompaction.delete(rollup);
    const connection = await Connection.open(this.#instance);
    try {
      for (const rollup of rollups)
        if (isFine(rollup))
          await compactDays(connection, stream, rollup, await this.#committedBefore(stream), this.#gate);
        else await compactRollup(connection, stream, rollup, this.#gate);
    } finally {
      connection.close();
    }
  }
}

/** Rollups that should be compacted. */
interface Due {
  stream: Stream;
  rollups: readonly Rollup[];
}

/** In the book: the mark of the ids that are kept on disk (kept-ids.ts). */
const idsKey = ({ name }: Stream): string => `ids ${name}`;

async function readBook(connection: Connection): Promise<Map<string, string>> {
  const rows = await connection.rows('select key, value from book');
  return new Map(rows.map(([key, value]) => [key as string, value as string]));
}

/** The columns of each table, by schema and table. Asked for the table of one stream, it takes as long as for all. */
async function columnsOfTables(connection: Connection): Promise<Map<string, Set<string>>> {
  const tables = new Map<string, Set<string>>();
  const rows = await connection.askOnce(
    'select schema_name, table_name, column_name from duckdb_columns() where database_name = current_database()',
  );
  for (const [schema, table, column] of rows as string[][]) {
    const name = `${schema}.${table}`;
    tables.set(name, (tables.get(name) ?? new Set()).add(column!));
  }
  return tables;
}

/** Names of streams and rollups hold no quotes. */
function unquoted(name: string): string {
  return name.replaceAll('"', '');
}

function sameRollup(before: Stream, now: Stream, { name }: Rollup): boolean {
  const declared = ({ declaration }: Stream) => JSON.stringify(declaration.rollups?.[name]);
  return declared(before) === declared(now);
}

async function* readHashes(
  connection: Connection,
  stream: Stream,
  range: SeqRange,
): AsyncIterable<Uint32Array> {
  const sql = `select _hash from ${entriesOf(stream)} where _seq between ${range.from} and ${range.to}`;
  for (const chunk of await connection.chunks(sql)) {
    const { items } = chunk.getColumnVector(0) as DuckDBVector & { items: BigUint64Array };
    // A copy: the memory of the driver's vectors lives only as long as they.
    yield new Uint32Array(items.buffer, items.byteOffset, items.length * 2).slice();
  }
}
