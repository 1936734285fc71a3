/**
 * Publishing a file of any size, whole or not at all, while others are served.
 *
 * The long work happens beside the writer: the file is staged into a table of its own (in
 * memory if the file is moderate, else in a database beside the ledger's: writing it there takes 1 s for 5
 * million records), compared with the ledger, and appended in a transaction on
 * a connection of its own, where nobody sees it. Only the end holds the writer's lock: a look at the batches that
 * were committed since the comparison. If none of them touched an id of the file (nearly always), the commit
 * follows: 65 ms for 5 million records. Else the work is done again, at the third time under the lock.
 *
 * So the number of the batch is given before the commit, and a later commit may have a lower number: the time at
 * which a batch was recorded is what counts (see asOf in snapshot.ts).
 */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { formatTimestamp } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import { isConcerned } from '../../engine/record-check.ts';
import {
  type Delivery,
  type File,
  type FileDelivery,
  type FileFormat,
  type Progress,
  takingBack,
} from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { unpackFile } from '../../engine/unpack.ts';
import { countOfVerdict, noCounts, type Receipt, type Verdict } from '../../engine/verdicts.ts';
import { type Warning, warningsFrom, watchedOf } from '../../engine/warnings.ts';
import { readingParquet } from '../parquet-file.ts';
import {
  appendAccepted,
  appendDuplicates,
  appendNew,
  appendRejects,
  appendReversals,
  appendRollupOfEntries,
  appendRollupOfNew,
  numbersOfFile,
  rejectsParameters,
} from './append.ts';
import { lookClosely, recordRefusals } from './casts.ts';
import type { Connection } from './connection.ts';
import { foundExactly, putFound, rewriteExactly } from './exact-rows.ts';
import { type Held, holdAgainst } from './held-against.ts';
import type { BatchStamp, LedgerState } from './ledger-state.ts';
import { rowsOfList } from './lists.ts';
import { entriesOf, literal, quote, storedFields } from './names.ts';
import { book, countsOf, PartWriter, replaceByExact, timeBounds, verdictOf } from './part.ts';
import { type FileSource, fileSource } from './read-file.ts';
import type { ReadGate } from './read-gate.ts';
import { copiedRowBytes, copyReadable, mayBeMistaken, type UnreadableRow } from './readable-copy.ts';
import { type PartTables, resolvedColumns, resolvedSelect } from './resolve.ts';
import {
  needsFallback,
  recordSeparator,
  seqsPerRow,
  stagedParameters,
  stageFileSql,
  stageTable,
  stageTextsSql,
} from './stage.ts';
import { standingEntries } from './standing.ts';

export interface FilePublishing {
  connect(): Promise<Connection>;
  /** The connection of the writer; used only in what runs exclusively. */
  writer: Connection;
  /** Works under the writer's lock, with everything in the database that was acknowledged. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  gate: ReadGate;
  state: LedgerState;
  nextNumber(): number;
  /** For temporary files. */
  spillDirectory: string;
}

const attemptsWithoutLock = 2;
/** Suspects that are resolved at a time: what bounds the memory of it. */
const sliceRows = 1_000_000;
const sampleRows = 1_000;
/** Rows that a check is asked about at a time. */
const checkedRows = 10_000;
/** Files up to this size are staged in memory. */
const memoryFileBytes = 384 * 1024 * 1024;

export async function publishFile(context: FilePublishing, delivery: FileDelivery): Promise<Receipt> {
  const connection = await context.connect();
  const work = new FileWork(context, connection, delivery);
  const { signal } = delivery.content;
  const interrupt = () => connection.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    return await work.run();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', interrupt);
    await work.cleanUp();
    connection.close();
  }
}

class FileWork {
  readonly #context: FilePublishing;
  readonly #connection: Connection;
  readonly #delivery: FileDelivery;
  readonly #stream: Stream;
  /** The form in which the records come, or the stream itself. */
  readonly #form: Stream;
  #tables: PartTables;
  readonly #number: number;
  /** What takes back the import that this file replaces, if any: it is published in the same transaction. */
  readonly #replaced: FileWork | undefined;
  /** Ids are made from the rows' places when they are appended: nothing stands that could have one of them. */
  readonly #newIds: boolean;
  #resolved: Map<string, number> | undefined;
  /** Of this attempt. */
  #part = 0;
  #base = 0n;
  /** Rows that could be read, and rows that could not and are noted in the table `unreadable`. */
  #readable = 0;
  #unreadable = 0;
  #scans = 0;
  readonly #temporaryFiles: string[] = [];
  /** Notes of the check on records of the file, the first of them. */
  #noted: Held[] = [];

  #rows = 0;

  constructor(context: FilePublishing, connection: Connection, delivery: FileDelivery) {
    this.#context = context;
    this.#connection = connection;
    this.#delivery = delivery;
    this.#stream = delivery.stream;
    this.#form = delivery.form ?? delivery.stream;
    this.#number = context.nextNumber();
    this.#tables = this.#tablesIn('staging');
    const { content } = delivery;
    this.#newIds = content.kind === 'file' && content.newIds === true && !this.#stream.id;
    this.#replaced =
      content.kind === 'file' && content.replaces !== undefined
        ? new FileWork(context, connection, takingBack({ ...delivery, content }, content.replaces))
        : undefined;
  }

  #tablesIn(database: string): PartTables {
    const table = (name: string) => `${database}.main.${name}_${this.#number}`;
    return {
      stage: table('stage'),
      n: 'rowid',
      suspects: table('suspects'),
      known: entriesOf(this.#stream),
      resolved: table('resolved'),
    };
  }

  get #raw(): string {
    return this.#tables.stage.replace('.stage_', '.raw_');
  }

  async run(): Promise<Receipt> {
    await this.#following('staging', () => this.#stage());
    if (this.#replaced) await this.#replaced.#stage();
    for (let attempt = 0; ; attempt++) {
      const locked = attempt === attemptsWithoutLock;
      const publish = () => this.#publish(locked);
      const receipt = locked ? await this.#context.exclusively(publish) : await publish();
      if (receipt) return receipt;
    }
  }

  async cleanUp(): Promise<void> {
    await this.#replaced?.cleanUp();
    for (const path of this.#temporaryFiles) await rm(path, { force: true });
    const { stage, suspects, resolved } = this.#tables;
    for (const table of [stage, suspects, resolved, this.#raw]) {
      await this.#connection.execute(`drop table if exists ${table}`).catch(() => undefined);
    }
  }

  // --- staging ---------------------------------------------------------------------------------------------

  async #stage(): Promise<void> {
    const { content } = this.#delivery;
    if (content.kind === 'standing_of_import') await this.#stageStanding(content.import);
    else await this.#stageRecords(content);
    this.#rows = await this.#count(`select count(*) from ${this.#tables.stage}`);
  }

  async #stageStanding(importId: number): Promise<void> {
    const fields = storedFields(this.#stream)
      .map((field) => `, ${quote(field.name)}`)
      .join('');
    await this.#connection.execute(`create table ${this.#tables.stage} as
      select null::varchar as _line, _id, _hash${fields}, null::smallint as _bad, null::varchar as _found
      from ${standingEntries(this.#stream, '')} e
      where _part in (select part from parts where import = ${importId}) order by _seq`);
  }

  async #stageRecords(file: File): Promise<void> {
    if (this.#delivery.mode === 'retract') {
      throw new TallybookError(
        'unsupported_format',
        'retractions come as records in a request, not as a file',
      );
    }
    const path = await this.#plainFile(file);
    if ((await stat(path)).size <= memoryFileBytes) this.#tables = this.#tablesIn('memory_staging');
    const { format } = file;
    if (format === 'parquet') await this.#stageRows(file, path, format);
    else if ((await mayBeMistaken(path, format)) || !(await this.#stageRows(file, path, format))) {
      const copy = await this.#copyReadable(file, path, format);
      if (!(await this.#stageRows(file, copy, format === 'tsv' ? 'csv' : format, copiedRowBytes)))
        throw new Error('a row of a readable copy cannot be read');
    }
    await this.#readAgainExactly();
    await this.#holdAgainst();
    if (this.#unreadable > 0) {
      await this.#connection.execute(`insert into ${this.#tables.stage} (_line, _bad, _found)
        select line, ${recordRefusals.unreadable_row}, reason from unreadable order by place`);
    }
    if (this.#newIds) {
      await this.#connection.execute(
        `update ${this.#tables.stage} as t set _id = ${this.#newId(file)} where _bad is not null`,
      );
    }
  }

  /**
   * Stages the rows of a plain file; false where some of them cannot be read, and nothing is staged.
   * @param rowBytes a row at most
   */
  async #stageRows(
    file: File,
    path: string,
    format: FileFormat,
    rowBytes: number = limits.record_bytes,
  ): Promise<boolean> {
    const { stage } = this.#tables;
    for (const table of [stage, this.#raw]) await this.#connection.execute(`drop table if exists ${table}`);
    const scan = `${this.#number}_${this.#scans++}`;
    const source = await fileSource(this.#connection, this.#form, path, format, scan, rowBytes);
    const { horizon, latest } = timeBounds(this.#stream, this.#context.state);
    const bounds = `${horizon}::bigint as horizon, ${latest}::bigint as latest`;
    let select = source.select;
    const given = needsFallback(this.#stream) && !this.#newIds;
    if (given) {
      // Rows are numbered by the rowid of a table: `row_number() over ()` takes one thread and 6 s for 5 million.
      if (!(await this.#read(source, `create table ${this.#raw} as ${select}`))) return false;
      this.#readable = await this.#count(`select count(*) from ${this.#raw}`);
      select = `select *, ${literal(file.idPrefix)} || ':' || (${this.#place('r.rowid')} + 1) as fallback, r.rowid as n, ${bounds} from ${this.#raw} r`;
    } else {
      select = `select *, null::varchar as fallback, 0 as n, ${bounds} from (${select})`;
    }
    const staging = stageFileSql(this.#form, stage, { kind: source.kind, select }, this.#isChecked);
    if (given) {
      await this.#connection.execute(staging);
      return true;
    }
    if (!(await this.#read(source, staging))) return false;
    this.#readable = await this.#count(`select count(*) from ${stage}`);
    return true;
  }

  /** Runs a statement that reads the file; false where DuckDB has put rows aside, or given up. */
  async #read({ rejectsTable }: FileSource, sql: string): Promise<boolean> {
    const work = () => this.#connection.execute(sql);
    if (rejectsTable === undefined) {
      await readingParquet(work);
      return true;
    }
    try {
      await work();
    } catch (error) {
      if (/^Invalid Input Error: .*\bCSV\b/.test((error as Error).message)) return false;
      throw error;
    }
    return (await this.#count(`select count(*) from ${rejectsTable}`)) === 0;
  }

  /** The id of row `t`, from its place in the file. */
  #newId({ idPrefix }: File): string {
    return `${literal(idPrefix)} || ':' || (${this.#place('t.rowid')} + 1)`;
  }

  /** DuckDB reads packed files, too, but takes a truncated one for a whole one, and reads plain ones in parallel. */
  async #plainFile({ path, compression, signal }: File): Promise<string> {
    if (compression === 'none') return path;
    const plain = this.#temporaryFile('unpacked');
    await unpackFile(path, plain, compression, signal);
    return plain;
  }

  #temporaryFile(name: string): string {
    const path = join(this.#context.spillDirectory, `${name}-${this.#number}`);
    this.#temporaryFiles.push(path);
    return path;
  }

  /**
   * A copy of the rows that can be read. Those that cannot are noted, with their place among all rows; they will follow
   * the others in the stage. `before` is the number of readable rows in front of them.
   */
  async #copyReadable(file: File, path: string, format: Exclude<FileFormat, 'parquet'>): Promise<string> {
    const copy = this.#temporaryFile('readable');
    await this.#connection.execute(
      'create or replace temp table unreadable (k bigint, place bigint, before bigint, line varchar, reason varchar)',
    );
    const list = (i: number, type: string) => rowsOfList(`$${i}`, type);
    const setAside = async (rows: UnreadableRow[]) => {
      if (rows.length === 0) return;
      const first = this.#unreadable;
      this.#unreadable += rows.length;
      await this.#connection.run(
        `insert into unreadable select k, place, place - k, line, reason from (
          select ${list(1, 'bigint')} as k, ${list(2, 'bigint')} as place, ${list(3, 'varchar')} as line, ${list(4, 'varchar')} as reason)`,
        JSON.stringify(rows.map((_, i) => first + i)),
        ...(['place', 'line', 'reason'] as const).map((name) => JSON.stringify(rows.map((row) => row[name]))),
      );
    };
    await copyReadable(path, copy, format, setAside, file.signal);
    return copy;
  }

  /** The place of a row in the file, from 0, from its rowid in the stage. */
  #place(rowid: string): string {
    if (this.#unreadable === 0) return rowid;
    return `case when ${rowid} >= ${this.#readable} then (select place from unreadable where k = ${rowid} - ${this.#readable})
      else ${rowid} + (select count(*) from unreadable where before <= ${rowid}) end`;
  }

  async #readAgainExactly(): Promise<void> {
    const { stage } = this.#tables;
    const stream = this.#form;
    if ((await this.#count(`select count(*) from ${stage} where _bad = ${lookClosely}`)) === 0) return;
    await this.#connection.execute(stageTable(stream, 'exact', true));
    const chunk = 10_000;
    for (let from = -1; ; ) {
      const rows = await this.#connection.askOnce(
        `select rowid::bigint, _line, _id from ${stage} where _bad = ${lookClosely} and rowid > ${from} order by rowid limit ${chunk}`,
      );
      if (rows.length === 0) break;
      from = Number(rows.at(-1)![0]);
      const content = {
        texts: rows.map(([, line]) => rewriteExactly(stream, line as string)).join(recordSeparator),
        fallbacks: JSON.stringify(needsFallback(stream) ? rows.map(([, , id]) => id) : []),
        positions: rows.map(([n]) => Number(n)),
        part: 0,
        base: 0n,
        ...timeBounds(stream, this.#context.state),
      };
      await this.#connection.run(stageTextsSql(stream, 'exact', 'close'), ...stagedParameters(content));
      const lines = new Map(rows.map(([n, line]) => [Number(n), line as string]));
      const refused = await this.#connection.rows('select _n, _bad from exact where _bad is not null');
      const found = refused.flatMap(([n, bad]) => {
        const line = lines.get(Number(n));
        const text = line === undefined ? undefined : foundExactly(stream, line, Number(bad));
        return text === undefined ? [] : [[Number(n), text] as const];
      });
      await putFound(this.#connection, 'exact', new Map(found));
      this.#checkAbort();
    }
    await this.#connection.execute(replaceByExact(stream, stage, 'rowid', 'exact'));
    // The original of a row that is fine needs not be kept; that of a bad one is its line, not the rewritten one.
    await this.#connection.execute('drop table exact');
  }

  get #isChecked(): boolean {
    return isConcerned(this.#delivery.check, this.#delivery.source);
  }

  async #holdAgainst(): Promise<void> {
    const { check, source } = this.#delivery;
    if (!check || !this.#isChecked) return;
    const tables = { stage: this.#tables.stage, n: 'rowid' };
    for (let from = 0; from < this.#readable; from += checkedRows) {
      const range = `e.rowid between ${from} and ${from + checkedRows - 1}`;
      const held = await holdAgainst(this.#connection, this.#stream, tables, check, source, range);
      for (const one of held)
        if ('note' in one.judgement && this.#noted.length < limits.file_notes) this.#noted.push(one);
      this.#checkAbort();
    }
  }

  // --- publishing ------------------------------------------------------------------------------------------

  /** Undefined when another batch has touched an id of this file meanwhile: then it must be done again. */
  async #publish(locked: boolean): Promise<Receipt | undefined> {
    const { state, exclusively, gate } = this.#context;
    const works = this.#replaced ? [this, this.#replaced] : [this];
    const watch = state.watch();
    try {
      for (const work of works)
        work.#resolved = await work.#following('comparing', () => gate.read(() => work.#compare()));
      const batch = state.reserveBatch();
      for (const work of works) {
        work.#part = state.reservePart();
        work.#base = state.reserveSeqs(work.#stream, BigInt(work.#rows) * seqsPerRow + 1n);
      }
      const partWriter = new PartWriter(this.#connection, state);
      const beside = (receipt: Receipt) =>
        (this.#delivery.content.alongside?.(receipt) ?? []).map((delivery) => state.upToDate(delivery));
      await partWriter.prepare(beside(this.#emptyReceipt()).map(({ stream }) => stream));
      if (this.#noted.length > 0) await partWriter.prepare([this.#delivery.check!.notes]);
      await this.#connection.run('begin transaction');
      try {
        for (const work of works) await work.#following('publishing', () => work.#append());
        const end = async () => {
          for (const work of locked ? [] : works)
            if (await work.#touched(watch.parts.get(work.#stream.name) ?? [])) return undefined;
          const parts = works.map((work) => ({ stream: work.#stream, part: work.#part }));
          const stamp = { batch, recordedAt: state.nextInstant(), journaled: false, parts, rejects: [] };
          const receipt = await this.#conclude(stamp);
          if (this.#replaced) await this.#replaced.#conclude(stamp);
          await this.#writeBeside(beside(receipt), stamp, partWriter);
          await partWriter.note(this.#delivery, await this.#takenIn(this.#noted, this.#resolved), stamp);
          const commit = async () => {
            await this.#connection.run('commit');
          };
          await gate.commit(() => state.commit([stamp], commit));
          for (const work of works) work.#leaveUncovered();
          state.committed(stamp);
          return receipt;
        };
        const receipt = locked ? await end() : await exclusively(end);
        if (!receipt) await this.#connection.run('rollback');
        return receipt;
      } catch (error) {
        await this.#connection.run('rollback').catch(() => undefined);
        throw error;
      }
    } finally {
      watch.end();
    }
  }

  /** Verdicts by id, as far as they are not simply 'new'. Returns how many of each; undefined when there are none. */
  async #compare(): Promise<Map<string, number> | undefined> {
    if (this.#newIds) return undefined;
    const { stage, suspects, resolved } = this.#tables;
    for (const table of [suspects, resolved]) await this.#connection.execute(`drop table if exists ${table}`);
    const empty = this.#context.state.books(this.#stream).nextSeq === 1n;
    await this.#connection.execute(`create table ${suspects} (_hash ubigint, repeated boolean)`);
    // Telling that nothing is repeated takes half as long as looking for what is.
    const repeats = await this.#count(
      `select count(_hash) - count(distinct _hash) from ${stage} where _bad is null`,
    );
    if (repeats > 0) {
      await this.#connection.execute(`insert into ${suspects}
        select _hash, true from ${stage} where _bad is null group by _hash having count(*) > 1`);
    }
    // To take records back, every one must be looked up; a file that was sent before is mostly known.
    const everyRow = !empty && (this.#delivery.mode === 'retract' || (await this.#mostlyKnown()));
    if (!empty && !everyRow) {
      await this.#connection.execute(`insert into ${suspects} select distinct _hash, false from ${entriesOf(this.#stream)}
        where _hash in (select _hash from ${stage} where _bad is null)`);
    }
    const count = everyRow ? this.#rows : await this.#count(`select count(*) from ${suspects}`);
    if (count === 0) return undefined;
    await this.#connection.execute(`create table ${resolved} ${resolvedColumns}`);
    const slices = BigInt(Math.ceil(count / sliceRows));
    const width = (1n << 64n) / slices;
    for (let i = 0n; i < slices; i++) {
      const last = i === slices - 1n ? (1n << 64n) - 1n : (i + 1n) * width - 1n;
      const slice = slices === 1n ? 'true' : `_hash between ${i * width} and ${last}`;
      await this.#connection.execute(
        `insert into ${resolved} ${resolvedSelect(this.#stream, this.#delivery.mode, this.#tables, {
          slice,
          everyRow,
          noRepeats: repeats === 0,
          noReversals: !this.#context.state.books(this.#stream).hasReversals,
        })}`,
      );
      this.#checkAbort();
    }
    const counts = await this.#connection.askOnce(
      `select verdict, count(*)::double from ${resolved} group by verdict`,
    );
    return new Map(counts.map(([verdict, rows]) => [verdict as string, rows as number]));
  }

  /** Whether the ledger knows most of a sample of the file: then looking for the few that it knows is in vain. */
  async #mostlyKnown(): Promise<boolean> {
    const sample = `(select _hash from ${this.#tables.stage} where _bad is null limit ${sampleRows})`;
    const [row] = await this.#connection.askOnce(`select (select count(*) from ${sample})::double,
      (select count(distinct _hash) from ${entriesOf(this.#stream)} where _hash in (select _hash from ${sample}))::double`);
    const [sampled, known] = row as [number, number];
    return known * 2 > sampled;
  }

  async #append(): Promise<void> {
    const [part, base, resolved] = [this.#part, this.#base, this.#resolved];
    const numbers = `${base} + ${seqsPerRow} * t.rowid + 1, ${part}`;
    const numbersOfResolved = numbersOfFile(base, part);
    if (!resolved) {
      const { content } = this.#delivery;
      const id = this.#newIds && content.kind === 'file' ? this.#newId(content) : 't._id';
      const ids = this.#newIds ? `hash(${id}), ${id}` : `t._hash, ${id}`;
      await this.#connection.run(appendNew(this.#stream, this.#tables, numbers, ids));
      for (const rollup of this.#stream.rollups)
        await this.#connection.run(appendRollupOfNew(this.#stream, rollup, this.#tables));
      return;
    }
    const of = (verdict: string) => resolved.get(verdict) ?? 0;
    const unresolved = this.#rows - [...resolved.values()].reduce((a, b) => a + b, 0);
    const accepted = unresolved + of('accepted') + of('corrected') > 0;
    if (this.#delivery.mode !== 'retract' && accepted)
      await this.#connection.run(appendAccepted(this.#stream, this.#tables, numbers));
    if (of('corrected') + of('retracted') > 0) {
      this.#context.state.books(this.#stream).hasReversals = true;
      await this.#connection.run(appendReversals(this.#stream, this.#tables, numbersOfResolved));
    }
    if (of('duplicate') > 0)
      await this.#connection.run(appendDuplicates(this.#stream, this.#tables, numbersOfResolved));
    const last = base + BigInt(this.#rows) * seqsPerRow;
    for (const rollup of this.#stream.rollups)
      await this.#connection.run(appendRollupOfEntries(this.#stream, rollup), base, last, part);
  }

  /** Whether parts that were committed since the comparison hold an id of this file. */
  async #touched(parts: number[]): Promise<boolean> {
    if (parts.length === 0 || this.#newIds) return false;
    const rows = await this.#context.writer.askOnce(`select 1 from ${entriesOf(this.#stream)}
      where _part between ${parts[0]} and ${parts.at(-1)} and _part in (${parts.join(', ')})
      and _hash in (select _hash from ${this.#tables.stage} where _bad is null) limit 1`);
    return rows.length > 0;
  }

  /** What is written when the time of the batch is known: rejects, and the line of the part. */
  async #conclude(stamp: BatchStamp): Promise<Receipt> {
    const { state } = this.#context;
    const { mode, source, content } = this.#delivery;
    const resolved = this.#resolved;
    this.#checkAbort();
    const receipt = await this.#receipt(stamp, resolved);
    if (receipt.rejected + receipt.conflicts > 0) {
      const first = state.reserveSeqs(rejectsStream, BigInt(this.#rows));
      // Without suspects there is no table of verdicts; an empty one stands in for it.
      if (!resolved)
        await this.#connection.execute(
          'create temp table if not exists no_verdicts (_n integer, verdict varchar, prev_seq bigint, prev_n integer)',
        );
      const tables = resolved ? this.#tables : { ...this.#tables, resolved: 'no_verdicts' };
      const rejects = rejectsParameters({
        first,
        starts: [0],
        mode,
        ...timeBounds(this.#stream, state),
        replayed: [],
        part: this.#part,
        source,
        import: content.import,
        recordedAt: stamp.recordedAt,
      });
      await this.#connection.run(appendRejects(this.#form, tables, this.#place('n')), ...rejects);
      stamp.rejects.push({ from: first, to: first + BigInt(this.#rows) });
    }
    await book(this.#connection, [
      { delivery: this.#delivery, part: this.#part, stamp, counts: countsOf([receipt]) },
    ]);
    return receipt;
  }

  async #writeBeside(beside: Delivery[], stamp: BatchStamp, partWriter: PartWriter): Promise<void> {
    for (const delivery of beside) {
      if (delivery.content.kind !== 'texts')
        throw new Error('what is published alongside a file must be texts');
      await partWriter.write([{ ...delivery, content: delivery.content }], stamp);
    }
  }

  #leaveUncovered(): void {
    const to = this.#base + BigInt(this.#rows) * seqsPerRow;
    this.#context.state.books(this.#stream).filter.leaveUncovered({ from: this.#base, to });
  }

  /** Those of some rows that are neither known already nor in conflict with what is. */
  async #takenIn(held: Held[], resolved: Map<string, number> | undefined): Promise<Held[]> {
    if (!resolved || held.length === 0) return held;
    const rows = await this.#connection.rows(
      `select _n::double from ${this.#tables.resolved}
       where verdict not in ('accepted', 'corrected') and _n in (select unnest(string_split($1, ','))::integer)`,
      held.map(({ n }) => n).join(','),
    );
    const others = new Set(rows.map(([n]) => n));
    return held.filter(({ n }) => !others.has(n));
  }

  #emptyReceipt(): Receipt {
    return { batch: 0, recorded_at: formatTimestamp(0n), received: 0, ...noCounts(), verdicts: [] };
  }

  async #receipt(stamp: BatchStamp, resolved: Map<string, number> | undefined): Promise<Receipt> {
    const { stage } = this.#tables;
    const receipt: Receipt = {
      ...this.#emptyReceipt(),
      batch: stamp.batch,
      recorded_at: formatTimestamp(stamp.recordedAt),
      received: this.#rows,
    };
    const resolvedRows = resolved ?? new Map<string, number>();
    for (const [verdict, count] of resolvedRows) {
      receipt[
        verdict === 'not_found' ? 'rejected' : countOfVerdict[verdict as keyof typeof countOfVerdict]
      ] += count;
    }
    const bad = await this.#count(`select count(*) from ${stage} where _bad is not null`);
    receipt.rejected += bad;
    receipt.accepted += this.#rows - bad - [...resolvedRows.values()].reduce((a, b) => a + b, 0);
    receipt.verdicts = await this.#verdicts(resolved !== undefined);
    const warnings = this.#delivery.content.kind === 'file' ? await this.#warnings() : [];
    return warnings.length > 0 ? { ...receipt, warnings } : receipt;
  }

  async #warnings(): Promise<Warning[]> {
    const watched = watchedOf(this.#form);
    if (watched.length === 0) return [];
    const counts = watched.map(({ field, code, pattern }) => {
      const stored = this.#stream.fields[this.#form.fields.indexOf(field)]!;
      const column = stored === this.#stream.id ? '_id' : quote(stored.name);
      const met =
        code === 'missing' ? `${column} is null` : `not regexp_full_match(${column}, ${literal(pattern)})`;
      return `(count(*) filter (where ${met}))::double`;
    });
    const [row] = await this.#connection.askOnce(
      `select ${counts.join(', ')} from ${this.#tables.stage} where _bad is null`,
    );
    return warningsFrom(watched, row as number[]);
  }

  async #verdicts(resolved: boolean): Promise<Verdict[]> {
    const all = this.#delivery.allVerdicts;
    const { stage, resolved: table } = this.#tables;
    const most = all ? limits.receipt_verdicts_all : limits.receipt_verdicts;
    const row = (verdict: string) =>
      `select (${this.#place('t.rowid')})::bigint as n, ${this.#delivery.content.kind === 'file' && this.#newIds ? this.#newId(this.#delivery.content) : 't._id'} as id, t._bad as bad, ${verdict} as verdict, t._found as found from ${stage} t`;
    // Each side is cut by itself: a join of all rows to keep a hundred would take longer than the comparison.
    const sides = all
      ? [resolved ? `${row('r.verdict')} left join ${table} r on r._n = t.rowid` : row('null::varchar')]
      : [
          `${row('null::varchar')} where t._bad is not null order by t.rowid limit ${most}`,
          ...(resolved
            ? [
                `${row('r.verdict')} join (select * from ${table} where verdict <> 'accepted' order by _n limit ${most}) r on r._n = t.rowid`,
              ]
            : []),
        ];
    const rows = await this.#connection.askOnce(
      `select * from (${sides.map((side) => `(${side})`).join(' union all ')}) order by n limit ${most}`,
    );
    const bounds = timeBounds(this.#stream, this.#context.state);
    return rows.map(([n, id, bad, verdict, found]) => ({
      index: Number(n),
      id: id as string | null,
      ...verdictOf(
        this.#form,
        bad === null ? undefined : Number(bad),
        (verdict as string | null) ?? undefined,
        () => found as string | null,
        bounds,
      ),
    }));
  }

  async #count(sql: string): Promise<number> {
    return Number((await this.#connection.askOnce(sql))[0]![0]);
  }

  #checkAbort(): void {
    this.#delivery.content.signal?.throwIfAborted();
  }

  /** Reports progress while a step runs: DuckDB knows how far a statement is. */
  async #following<T>(step: Progress['step'], work: () => Promise<T>): Promise<T> {
    this.#checkAbort();
    const stop = new AbortController();
    const report = () =>
      this.#delivery.content.onProgress({
        step,
        rows: this.#rows,
        bytes_done: undefined,
        bytes_total: undefined,
      });
    const following = (async () => {
      while (!stop.signal.aborted) {
        report();
        await sleep(250, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    })();
    try {
      return await work();
    } finally {
      stop.abort();
      await following;
      this.#checkAbort();
    }
  }
}
