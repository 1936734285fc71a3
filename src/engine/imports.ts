/**
 * Imports: files taken in (SPEC 1.3). Each is one unit: its rows appear together or not at all. How it stands is kept
 * in the `_imports` stream; that it is done is written in the same commit as its rows, so the two never differ.
 *
 * A few run at the same time, a bounded number waits. What is in progress when the process stops has left nothing;
 * the next start marks it as failed; where other processes share the ledger, the first start a day later.
 */
import { rm } from 'node:fs/promises';
import { importsStream } from './built-in-streams.ts';
import { TallybookError } from './errors.ts';
import { type ImportRequest, ImportRun, timeNow } from './import-run.ts';
import { type ImportState, interruptedError, stateDelivery, stateOfEntry } from './import-state.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';
import { askBook, standingInBook } from './own-books.ts';
import { type Page, pageOfEntries } from './pages.ts';
import type { Delivery, SharesLedger, Store } from './store.ts';
import type { Stream } from './stream.ts';
import type { Receipt } from './verdicts.ts';

export interface ImportsLedger {
  store: Store & Partial<SharesLedger>;
  write(delivery: Delivery): Promise<Receipt>;
  stream(name: string): Stream;
  log: Log;
}

/** What takes an import back together with what it belongs to, in words; undefined where it belongs to nothing. */
export type Owner = (id: number) => Promise<string | undefined>;

export class Imports {
  readonly #ledger: ImportsLedger;
  /** In progress, by id: running, and waiting. */
  readonly #active = new Map<number, ImportRun>();
  /** That they failed could not be written down: the book has them in progress until it is opened again. */
  readonly #failedUnwritten = new Map<number, ImportState>();
  /** Of these nobody can say how they ended, and why: the book may say it later. */
  readonly #lost = new Map<number, TallybookError>();
  /** In order of arrival. */
  readonly #waiting: ImportRun[] = [];
  readonly #undoing = new Set<number>();
  /** Of streams whose imports belong to something else: tells what must be asked to take one back. */
  readonly #owners = new Map<string, Owner>();
  #runningCount = 0;
  #lastId = 0;
  #closing = false;

  constructor(ledger: ImportsLedger) {
    this.#ledger = ledger;
  }

  /** Reads the last number given, and marks what was cut off when the process stopped. */
  async load(): Promise<void> {
    const { store, write } = this.#ledger;
    await this.#readLastId();
    for (const entry of await standingInBook(store, importsStream, { status: 'in_progress' })) {
      const state = stateOfEntry(entry);
      // It may go on in another process: to call it failed would be to have it sent again.
      if (store.sharesLedger && Date.now() - Date.parse(state.created_at) < limits.abandoned_seconds * 1000)
        continue;
      const cutOff = { status: 'failed', error: interruptedError, finished_at: timeNow() } as const;
      await write(stateDelivery({ ...state, ...cutOff }));
    }
  }

  /**
   * From now on, an import of the stream that the owner knows is undone by its owner alone, who says by `accompany` what
   * goes with it.
   */
  ownedBy(stream: string, owner: Owner): void {
    this.#owners.set(stream, owner);
  }

  /** Starts an import and returns as soon as it is written down. Throws `overloaded` when too many wait. */
  async start(request: ImportRequest): Promise<ImportState> {
    try {
      this.#refuseWhenFull();
      let run = await this.#begin(request);
      while (!run) run = await this.#begin(request);
      this.#waiting.push(run);
      this.#runNext();
      return run.shown();
    } catch (error) {
      if (request.deleteFile) await rm(request.path, { force: true });
      throw error;
    }
  }

  /** Writes down an import that starts. Undefined when another process has just taken its number. */
  async #begin(request: ImportRequest): Promise<ImportRun | undefined> {
    const { store, write } = this.#ledger;
    if (store.sharesLedger) await this.#readLastId();
    const run = new ImportRun(++this.#lastId, request);
    this.#active.set(run.state.id, run);
    try {
      await run.prepare();
      if (store.sharesLedger) {
        const { accepted } = await write({ ...stateDelivery(run.state), mode: 'insert' });
        if (accepted === 0) {
          this.#active.delete(run.state.id);
          return undefined;
        }
      }
      await this.#writeDown(run.state, request.accompany);
      return run;
    } catch (error) {
      this.#active.delete(run.state.id);
      throw error;
    }
  }

  async #readLastId(): Promise<void> {
    const answer = await askBook(this.#ledger.store, importsStream, { measures: ['max(id)'] });
    this.#lastId = Math.max(this.#lastId, Number(answer.rows[0]?.[0] ?? 0));
  }

  get inProgress(): number {
    return this.#active.size;
  }

  /** Throws `unknown_import`, and what `wait` throws where it is not known how the import ended. */
  async get(id: number): Promise<ImportState> {
    const known = this.#known(id);
    if (known) return known;
    const kept = Number.isSafeInteger(id) && id > 0 ? await this.#kept(id) : undefined;
    const lost = this.#lost.get(id);
    if (lost && kept?.status === 'in_progress') throw lost;
    if (kept) return kept;
    throw new TallybookError('unknown_import', `there is no import ${id}; GET /v1/imports lists them`);
  }

  /** What this process knows, and the book does not say. */
  #known(id: number): ImportState | undefined {
    return this.#active.get(id)?.shown() ?? this.#failedUnwritten.get(id);
  }

  /** What the book says. */
  async #kept(id: number): Promise<ImportState | undefined> {
    const [entry] = await standingInBook(this.#ledger.store, importsStream, { id: String(id) });
    return entry && stateOfEntry(entry);
  }

  /** Newest first. */
  async list(page: Page): Promise<{ imports: ImportState[]; next: string | undefined }> {
    const newestFirst = page.newestFirst ?? true;
    const request = { ...everything, stream: importsStream, standing: true, newestFirst };
    const { entries, next } = await pageOfEntries(this.#ledger.store, request, page);
    const states = entries.map(stateOfEntry);
    return { imports: states.map((state) => this.#known(state.id) ?? state), next };
  }

  /**
   * How the import ended; at once when it has. Throws `unknown_import`, and `store_failed` or `database_unavailable`: then
   * it is not known.
   */
  async wait(id: number): Promise<ImportState> {
    const run = this.#active.get(id);
    return run ? run.ended : this.get(id);
  }

  /** Calls the listener with every step and with the end. Returns how to stop it; undefined when it has ended. */
  subscribe(id: number, listener: (state: ImportState) => void): (() => void) | undefined {
    const run = this.#active.get(id);
    if (!run) return undefined;
    run.listeners.add(listener);
    return () => run.listeners.delete(listener);
  }

  /** Stops an import in progress: nothing of it is kept. One that is done by then stays done. */
  async cancel(id: number): Promise<ImportState> {
    const run = this.#active.get(id);
    if (!run) return this.get(id);
    await this.#stop(run, new TallybookError('import_failed', 'cancelled; nothing of it was kept'));
    return run.ended;
  }

  /**
   * Takes back everything that stands and was brought by an import. Throws `import_not_undoable`.
   * @param accompany what is written in the same commit; without it, an import that has an owner is not undone
   */
  async undo(id: number, source: string, accompany?: ImportRequest['accompany']): Promise<ImportState> {
    const state = await this.get(id);
    if (state.status !== 'done' || this.#undoing.has(id)) {
      const found = this.#undoing.has(id) ? 'being undone already' : state.status;
      const detail = `import ${id} is ${found}; only one that is done can be undone`;
      throw new TallybookError('import_not_undoable', detail);
    }
    this.#undoing.add(id);
    const undone = (receipt: Receipt): ImportState => ({
      ...state,
      status: 'undone',
      finished_at: timeNow(),
      counts: { ...state.counts!, retracted: receipt.retracted },
    });
    try {
      const door = accompany ? undefined : await this.#owners.get(state.stream)?.(id);
      if (door !== undefined) {
        const detail = `import ${id} is not undone alone: take it back with what it belongs to, by ${door}`;
        throw new TallybookError('import_not_undoable', detail);
      }
      const receipt = await this.#ledger.write({
        stream: this.#ledger.stream(state.stream),
        mode: 'retract',
        source,
        reason: `import ${id} undone`,
        content: {
          kind: 'standing_of_import',
          import: id,
          onProgress: () => undefined,
          signal: undefined,
          alongside: (receipt) => {
            const state = undone(receipt);
            return [stateDelivery(state), ...(accompany?.(state) ?? [])];
          },
        },
        allVerdicts: false,
      });
      return undone(receipt);
    } finally {
      this.#undoing.delete(id);
    }
  }

  /** Cancels what is in progress, or else undoes it. */
  async withdraw(id: number, source: string, accompany?: ImportRequest['accompany']): Promise<ImportState> {
    if (!this.#active.has(id)) return this.undo(id, source, accompany);
    const state = await this.cancel(id);
    return state.status === 'done' ? this.undo(id, source, accompany) : state;
  }

  /** Takes in nothing more and stops what is in progress: it leaves nothing, and is marked as interrupted. */
  async close(): Promise<void> {
    this.#closing = true;
    const runs = [...this.#active.values()];
    await Promise.all(
      runs.map((run) => this.#stop(run, new TallybookError('import_failed', interruptedError))),
    );
    await Promise.allSettled(runs.map((run) => run.ended));
  }

  #refuseWhenFull(): void {
    if (this.#closing) {
      const detail = 'the server is stopping; send the file again in a moment';
      throw new TallybookError('closing', detail, { retryAfter: 5 });
    }
    if (this.#active.size >= limits.imports_at_once + limits.imports_waiting) {
      const detail = `${this.#active.size} imports are in progress already; send the file again in a minute`;
      throw new TallybookError('overloaded', detail, { retryAfter: 60 });
    }
  }

  #runNext(): void {
    while (this.#runningCount < limits.imports_at_once && this.#waiting.length > 0) {
      const run = this.#waiting.shift()!;
      this.#runningCount += 1;
      void run
        .takeIn(this.#ledger.write)
        .then(
          (done) => this.#end(run, done),
          (error: unknown) => this.#fail(run, error),
        )
        .finally(() => {
          this.#runningCount -= 1;
          this.#runNext();
        });
    }
  }

  async #stop(run: ImportRun, why: TallybookError): Promise<void> {
    run.stop(why);
    const at = this.#waiting.indexOf(run);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    await this.#fail(run, why);
  }

  async #fail(run: ImportRun, error: unknown): Promise<void> {
    const { log } = this.#ledger;
    const { id } = run.state;
    const told = error instanceof TallybookError ? error : undefined;
    if (told?.code === 'store_failed') return this.#lose(run, told);
    const isAway = told?.code === 'database_unavailable';
    if (isAway) {
      // The answer to its commit may have got lost.
      const kept = await this.#kept(id).catch(() => undefined);
      if (!kept) return this.#lose(run, told);
      if (kept.status === 'done') return this.#end(run, kept);
    }
    if (!told) log.error({ err: error, import: id }, 'an import failed');
    const failed = run.failed(error);
    try {
      await this.#writeDown(failed, run.request.accompany);
    } catch (cause) {
      // The next start will find it in progress, and mark it.
      log.error({ err: cause, import: id }, 'that an import failed could not be written down');
      if (isAway) return this.#lose(run, told);
      this.#failedUnwritten.set(id, failed);
    }
    await this.#end(run, failed);
  }

  /** Whether it is whole or absent is seen when the store is opened again, or reached. */
  async #lose(run: ImportRun, error: TallybookError): Promise<void> {
    const { id } = run.state;
    this.#active.delete(id);
    this.#lost.set(id, error);
    await run.lose(error);
  }

  async #writeDown(state: ImportState, accompany: ImportRequest['accompany']): Promise<void> {
    const deliveries = [stateDelivery(state), ...(accompany?.(state) ?? [])];
    await Promise.all(deliveries.map((delivery) => this.#ledger.write(delivery)));
  }

  async #end(run: ImportRun, state: ImportState): Promise<void> {
    this.#active.delete(state.id);
    await run.end(state);
  }
}

const everything = { where: [], from: undefined, to: undefined, knownAt: undefined };
