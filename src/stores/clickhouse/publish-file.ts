/**
 * Publishing a file of any size, whole or not at all, while others are served.
 *
 * The file is read in pieces, and settled and written a block of rows at a time, under parts of its own that do not
 * count yet: so memory stays flat. Its seqs are reserved in the table of commits, for others write meanwhile. Only the
 * end holds the writer's lock: did what was committed since the start touch an id of this file? Nearly never; then one
 * commit makes all of it count. Else it is done again.
 */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import { fileReader } from '../../engine/file-rows.ts';
import { limits } from '../../engine/limits.ts';
import type { Lock } from '../../engine/lock.ts';
import { type Row, readTexts } from '../../engine/rows.ts';
import { notesDelivery, stageRows, WarningCounts } from '../../engine/settling.ts';
import { boundsOf } from '../../engine/stage-record.ts';
import { type File, type FileDelivery, type Progress, takingBack } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { unpackFile } from '../../engine/unpack.ts';
import { noCounts, type Receipt, type Verdict } from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import { Draft, type DraftPart, partLine } from './draft.ts';
import type { Committed, LedgerState, Watch } from './ledger-state.ts';
import { commitsTable, entriesOf } from './names.ts';
import { parquetRows } from './parquet.ts';
import { attemptsMax, settleTexts, tooBusy, writeDraft, writeSums } from './publish.ts';
import { settle } from './settle.ts';
import { seen, standingConditions } from './standing.ts';

export interface FilePublishing {
  connection: Connection;
  state: LedgerState;
  /** Of the writer. */
  lock: Lock;
}

/** Rows that are settled and written at a time. */
const blockRows = 20_000;
const pieceBytes = 1024 * 1024;

export async function publishFile(context: FilePublishing, delivery: FileDelivery): Promise<Receipt> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const receipt = await new FileWork(context, delivery).run();
    if (receipt) return receipt;
  }
  throw tooBusy();
}

class FileWork {
  readonly #context: FilePublishing;
  readonly #delivery: FileDelivery;
  /** What takes back the import that this file replaces, if any: it is published in the same commit. */
  readonly #replaced: FileWork | undefined;
  readonly #newIds: boolean;
  #part!: DraftPart;
  #recordedAt: Micros = 0n;
  #rows = 0;
  #verdicts: Verdict[] = [];
  #notes: string[] = [];
  readonly #warnings: WarningCounts;
  /** Between which times the entries of a stream lie that it has written. */
  readonly #written = new Map<Stream, { from: Micros; to: Micros }>();

  constructor(context: FilePublishing, delivery: FileDelivery) {
    this.#context = context;
    this.#delivery = delivery;
    const { content, stream, form = stream } = delivery;
    this.#warnings = new WarningCounts(form);
    this.#newIds = content.kind === 'file' && content.newIds === true && !stream.id;
    this.#replaced =
      content.kind === 'file' && content.replaces !== undefined
        ? new FileWork(context, takingBack({ ...delivery, content }, content.replaces))
        : undefined;
  }

  /** Undefined when others have touched an id of this file meanwhile, or given it up: then it must be done again. */
  async run(): Promise<Receipt | undefined> {
    const { state, lock } = this.#context;
    const { name } = this.#delivery.stream;
    const watch = state.watch(({ stream, kind }) => stream === name && kind !== 'seqs');
    try {
      await state.refresh();
      await this.#write();
      if (this.#replaced) await this.#replaced.#write();
      return await lock.run(() => this.#conclude(watch));
    } finally {
      watch.end();
    }
  }

  async #write(): Promise<void> {
    const { state, connection } = this.#context;
    const { stream, mode, source, reason, content } = this.#delivery;
    this.#recordedAt = state.nextInstant();
    this.#part = {
      number: await state.reservePart(),
      stream: stream.name,
      mode,
      source,
      import: content.import ?? null,
      reason: reason ?? null,
      counts: noCounts(),
    };
    this.#report('staging');
    for await (const rows of this.#blocks()) {
      await this.#writeBlock(rows);
      this.#report('comparing');
    }
    this.#report('comparing');
    this.#report('publishing');
    for (const [of, bounds] of this.#written)
      await writeSums(connection, state, of, [this.#part.number], bounds);
  }

  #report(step: Progress['step']): void {
    const { signal, onProgress } = this.#delivery.content;
    signal?.throwIfAborted();
    onProgress({ step, rows: this.#rows, bytes_done: undefined, bytes_total: undefined });
    signal?.throwIfAborted();
  }

  async #writeBlock(rows: Row[]): Promise<void> {
    const { connection, state } = this.#context;
    const { stream, allVerdicts } = this.#delivery;
    const { droppedBefore } = state.books(stream.name);
    const staged = stageRows(this.#delivery, rows, boundsOf(stream, this.#recordedAt, droppedBefore));
    const before = { ...this.#part.counts };
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      // Rows of this file meet those before them, which do not count yet.
      const draft = new Draft(connection, state, this.#recordedAt, [this.#part.number]);
      Object.assign(this.#part.counts, before);
      const settled = await this.#settled(draft, staged);
      if (!settled) continue;
      await draft.write();
      for (const { stream: of, bounds } of draft.streams) {
        const known = this.#written.get(of) ?? bounds;
        if (bounds && known)
          this.#written.set(of, {
            from: bounds.from < known.from ? bounds.from : known.from,
            to: bounds.to > known.to ? bounds.to : known.to,
          });
      }
      for (const { staged: one } of staged)
        if ('values' in one.checked) this.#warnings.add(one.checked.values);
      const most = allVerdicts ? limits.receipt_verdicts_all : limits.receipt_verdicts;
      const told = allVerdicts
        ? settled.verdicts
        : settled.verdicts.filter(({ verdict }) => verdict !== 'accepted');
      if (this.#verdicts.length < most) this.#verdicts.push(...told.slice(0, most - this.#verdicts.length));
      if (this.#notes.length < limits.file_notes) this.#notes.push(...settled.notes);
      this.#rows += rows.length;
      return;
    }
    throw tooBusy();
  }

  /** A block, settled, with its seqs reserved. Undefined when others have written to its streams meanwhile. */
  async #settled(draft: Draft, staged: ReturnType<typeof stageRows>) {
    const { state } = this.#context;
    const since = state.watch();
    try {
      const place = { first: this.#rows, newIds: this.#newIds };
      const settled = await settle(draft, this.#delivery, this.#part, staged, place);
      if (draft.seqs.length === 0) return settled;
      const stamp = await state.take(draft.seqs, async (others) => !meets(draft, others), { since });
      return stamp && settled;
    } finally {
      since.end();
    }
  }

  /** The end, under the writer's lock. */
  async #conclude(watch: Watch): Promise<Receipt | undefined> {
    const { connection, state } = this.#context;
    const works = this.#replaced ? [this, this.#replaced] : [this];
    const { alongside, signal } = this.#delivery.content;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      await state.refresh();
      signal?.throwIfAborted();
      const since = state.watch();
      try {
        for (const work of works)
          if (state.isVoid(work.#part.number) || (await work.#touched(watch.lines))) return undefined;
        const receipt = this.#receipt();
        const beside = new Draft(connection, state, state.nextInstant());
        if (this.#notes.length > 0) await settleTexts(beside, notesDelivery(this.#delivery, this.#notes));
        for (const delivery of alongside?.(receipt) ?? []) await settleTexts(beside, delivery);
        await writeDraft(beside);
        const parts = [...works.map((work) => work.#part), ...beside.parts.values()];
        const stamp = await state.take(
          [...parts.map(partLine), ...beside.seqs],
          async (others) => others.length === 0,
          { since, recordedAt: beside.recordedAt },
        );
        if (stamp) return { ...receipt, batch: stamp.batch, recorded_at: formatTimestamp(stamp.recordedAt) };
      } finally {
        since.end();
      }
    }
    throw tooBusy();
  }

  /** Whether what was committed since the start to the stream of this file holds an id of it. */
  async #touched(lines: Committed[]): Promise<boolean> {
    const { connection, state } = this.#context;
    const { stream } = this.#delivery;
    const others = lines.filter(({ kind }) => !(kind === 'part' && this.#newIds));
    if (others.length === 0) return false;
    // What is dropped, and sums that are new, concern all that is written.
    if (others.some(({ kind }) => kind !== 'part')) return true;
    const { duplicates, conflicts, rejected } = this.#part.counts;
    const takenBack = others.some(({ counts }) => counts!.corrected + counts!.retracted > 0);
    // A record that was held against one that is taken back since left no entry to tell.
    if (takenBack && duplicates + conflicts + (this.#delivery.mode === 'retract' ? rejected : 0) > 0)
      return true;
    if (this.#delivery.mode === 'retract' && rejected > 0) return true;
    const rows = await connection.rows(`select 1 from ${entriesOf(stream)}
      where _part in (${others.map(({ part }) => part).join(', ')}) and ${state.visible()}
        and _hash in (select _hash from ${entriesOf(stream)} where _part = ${this.#part.number}) limit 1`);
    return rows.length > 0;
  }

  #receipt(): Receipt {
    const { state } = this.#context;
    return {
      batch: state.nextBatch,
      recorded_at: formatTimestamp(state.nextInstant()),
      received: this.#rows,
      ...this.#part.counts,
      verdicts: this.#verdicts,
      ...(this.#delivery.content.kind === 'file' ? this.#warnings.found : {}),
    };
  }

  // --- reading ---------------------------------------------------------------------------------------------

  #blocks(): AsyncIterable<Row[]> {
    const { content } = this.#delivery;
    return content.kind === 'file' ? this.#fileBlocks(content) : this.#standingBlocks(content.import);
  }

  async *#fileBlocks(file: File): AsyncIterable<Row[]> {
    const { stream, form = stream, mode } = this.#delivery;
    const directory = await mkdtemp(join(tmpdir(), 'tallybook-import-'));
    try {
      const plain = file.compression === 'none' ? file.path : join(directory, 'unpacked');
      if (file.compression !== 'none') await unpackFile(file.path, plain, file.compression, file.signal);
      const parquet = file.format === 'parquet';
      const path = parquet ? join(directory, 'rows.csv') : plain;
      if (parquet) await parquetRows(plain, path);
      const reader = fileReader(form, parquet ? { ...file, format: 'csv' } : file, mode);
      let rows: Row[] = [];
      if ((await stat(path)).size > 0)
        for await (const piece of createReadStream(path, { highWaterMark: pieceBytes })) {
          rows = rows.concat(reader.push(piece as Buffer));
          for (; rows.length >= blockRows; rows = rows.slice(blockRows)) yield rows.slice(0, blockRows);
        }
      rows = rows.concat(reader.end());
      for (; rows.length > 0; rows = rows.slice(blockRows)) yield rows.slice(0, blockRows);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** The ids of what stands and was brought by an import, as retractions. */
  async *#standingBlocks(imported: number): AsyncIterable<Row[]> {
    const { connection, state } = this.#context;
    const { stream } = this.#delivery;
    const conditions = standingConditions(stream, seen(stream, state, ''));
    for (let after = '-1'; ; ) {
      const rows = await connection.rows(`select _e._seq, _e._id from ${entriesOf(stream)} _e
        where ${conditions.join(' and ')} and _e._seq > ${after}
          and _e._part in (select part from ${commitsTable} where kind = 'part' and import = ${imported})
        order by _e._seq limit ${blockRows}`);
      if (rows.length === 0) return;
      after = String(rows.at(-1)![0]);
      const ids = rows.map(([, id]) => String(id));
      yield readTexts(
        { kind: 'texts', texts: ids.map((id) => JSON.stringify(id)), fallbackIds: ids },
        'retract',
      );
    }
  }
}

/** Whether others have written to a stream of which the draft has seqs. */
function meets(draft: Draft, others: Committed[]): boolean {
  const streams = new Set(draft.streams.map(({ stream }) => stream.name));
  return others.some(({ stream }) => streams.has(stream ?? ''));
}
