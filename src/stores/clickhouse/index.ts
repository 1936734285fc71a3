/**
 * The ClickHouse store: a ledger on a server or a cluster, for any number of processes that keep nothing of their own.
 *
 * Records are staged in the process, held against what stands in ClickHouse, written where nobody sees them, and
 * committed by one insert (ledger-state.ts).
 */
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
  Check,
  Delivery,
  EntriesRequest,
  Entry,
  Fate,
  FileDelivery,
  SharesLedger,
  Store,
  StreamState,
  TextDelivery,
} from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import type { Sums } from '../../engine/sums.ts';
import { noCounts, type Receipt, type VerdictCounts } from '../../engine/verdicts.ts';
import { removeAbandoned } from './abandoned.ts';
import { ask } from './ask.ts';
import { Connection } from './connection.ts';
import { ledgerFiller, ledgerReader } from './copy.ts';
import { fateOf, listEntries } from './entries.ts';
import { type CommitLine, LedgerState } from './ledger-state.ts';
import { duplicatesTable, entriesTable, rollupTable, storedFields } from './names.ts';
import { attemptsMax, publishTexts, tooBusy } from './publish.ts';
import { publishFile } from './publish-file.ts';
import { addSums, boundsOf, declarationOf } from './rollups.ts';
import { addColumn, addPartAgain, commitTables, partAgain, rollupTables, streamTables } from './schema.ts';
import { seen } from './standing.ts';
import { askSums } from './sums.ts';
import { dropRecords, freeDropped, verifyStream } from './tend.ts';

export interface ClickHouseStoreOptions {
  /** As the connection takes it. */
  address: string;
  /** Microseconds; for tests. */
  clock?: () => Micros;
  /** To be filled with a copy: one that was not finished is no reason to refuse then. */
  toFill?: boolean;
}

/** How often a process that is followed looks for what others have committed. */
const followMilliseconds = 1_000;

export async function openClickHouseStore(
  options: ClickHouseStoreOptions,
): Promise<Store & SharesLedger & CopiesLedger> {
  const connection = new Connection(options.address);
  try {
    for (const statement of commitTables(connection.cluster)) await connection.execute(statement);
    const state = new LedgerState(connection, options.clock ?? nowMicros);
    await state.open();
    if (state.copy && !state.copy.finished && !options.toFill) throw unfinishedCopy(connection.place);
    return new ClickHouseStore(connection, state);
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class ClickHouseStore implements Store, SharesLedger, CopiesLedger {
  readonly sharesLedger = true;
  readonly copiesLedger = true;
  readonly #connection: Connection;
  readonly #state: LedgerState;
  readonly #streams = new Map<string, Stream>();
  /** One batch of texts at a time: what arrives meanwhile is the next batch (engine/writer.ts). */
  readonly #lock = new Lock();
  readonly #working = new Set<Promise<unknown>>();
  #following: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: Connection, state: LedgerState) {
    this.#connection = connection;
    this.#state = state;
  }

  prepare(streams: Stream[]): Promise<Map<string, StreamState>> {
    return this.#work(() =>
      this.#lock.run(async () => {
        await this.#state.refresh();
        const tables = await this.#tables();
        const all = [...new Set([rejectsStream, ...streams])];
        await Promise.all(all.map((stream) => this.#prepareTables(stream, tables)));
        await this.#prepareRollups(all);
        const states = new Map<string, StreamState>();
        for (const stream of all) {
          this.#streams.set(stream.name, stream);
          states.set(stream.name, this.#stateOf(stream));
        }
        return states;
      }),
    );
  }

  publish(deliveries: Delivery[]): Promise<Receipt[]> {
    return this.#work(async () => {
      if (deliveries.length === 0) return [];
      const file = deliveries.find(({ content }) => content.kind !== 'texts');
      if (!file)
        return this.#lock.run(() =>
          publishTexts(this.#connection, this.#state, deliveries as TextDelivery[]),
        );
      if (deliveries.length > 1) throw new Error('a delivery with a file travels alone');
      const context = { connection: this.#connection, state: this.#state, lock: this.#lock };
      return [await publishFile(context, file as FileDelivery)];
    });
  }

  ask(plan: Plan): Promise<Answer> {
    return this.#read((state) => ask(this.#connection, state, plan));
  }

  sums(plans: readonly Plan[]): Promise<Sums> {
    return this.#read((state) => askSums(this.#connection, state, plans));
  }

  entries(request: EntriesRequest): Promise<Entry[]> {
    return this.#read((state) => listEntries(this.#connection, state, request));
  }

  fate(stream: Stream, id: string): Promise<Fate> {
    return this.#read((state) => fateOf(this.#connection, state, stream, id));
  }

  tend({
    drop,
    compact,
  }: {
    drop: { stream: Stream; before: Micros }[];
    compact: boolean;
  }): Promise<{ dropped: number }> {
    return this.#work(async () => {
      let dropped = 0;
      for (const { stream, before } of drop)
        dropped += await this.#lock.run(() => this.#drop(stream, before));
      if (compact) await removeAbandoned(this.#connection, this.#state, this.#streams.values());
      return { dropped };
    });
  }

  async #drop(stream: Stream, before: Micros): Promise<number> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      await this.#state.refresh();
      const { droppedBefore } = this.#state.books(stream.name);
      if (droppedBefore !== undefined && before <= droppedBefore) return 0;
      const dropped = await dropRecords(this.#connection, this.#state, stream, before);
      if (dropped === undefined) continue;
      await freeDropped(this.#connection, this.#state, stream);
      return dropped;
    }
    throw tooBusy();
  }

  verify(): Promise<Check[]> {
    return this.#work(async () => {
      const checks: Check[] = [];
      for (const stream of this.#streams.values()) checks.push(...(await this.#verified(stream)));
      return checks;
    });
  }

  /** Again when records were dropped meanwhile: they may be missing where the state before still counts them. */
  async #verified(stream: Stream): Promise<Check[]> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      await this.#state.refresh();
      const state = this.#state.snapshot();
      const checks = await verifyStream(this.#connection, state, stream);
      if (checks.every(({ ok }) => ok) || !(await this.#hasDropped(stream, state))) return checks;
    }
    throw tooBusy();
  }

  /** Whether retention has dropped records of a stream since a state was taken. */
  async #hasDropped(stream: Stream, since: LedgerState): Promise<boolean> {
    await this.#state.refresh();
    const dropped = (state: LedgerState) => state.books(stream.name).droppedBefore;
    return dropped(this.#state) !== dropped(since);
  }

  follow(listener: (counts: Map<string, VerdictCounts>) => void): void {
    const watch = this.#state.watch();
    const tell = (): void => {
      const others = watch.lines.splice(0).filter((line) => line.kind === 'part' && !line.own);
      const counts = new Map<string, VerdictCounts>();
      for (const { stream, counts: of } of others) {
        const sum = counts.get(stream!) ?? noCounts();
        for (const name of Object.keys(sum) as (keyof VerdictCounts)[]) sum[name] += of![name];
        counts.set(stream!, sum);
      }
      if (counts.size > 0) listener(counts);
    };
    const look = (): void => {
      this.#following = setTimeout(() => {
        // What cannot be reached now is looked for again.
        const looking = this.#closed ? Promise.resolve() : this.#read(async () => tell());
        looking.catch(() => undefined).finally(() => this.#closed || look());
      }, followMilliseconds).unref();
    };
    look();
  }

  /** Of what is committed now, and nothing later. */
  async reader(): Promise<LedgerReader> {
    const now = new LedgerState(this.#connection, nowMicros);
    await now.open();
    return ledgerReader(this.#connection, now);
  }

  async filler(): Promise<LedgerFiller> {
    return ledgerFiller(this.#connection, this.#state, this.#connection.place);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#following);
    await Promise.all(this.#working);
    await this.#connection.close();
  }

  /**
   * A question sees what is committed when it begins, in each of its statements, whatever others learn meanwhile. Rows
   * that retention drops meanwhile may be missing.
   */
  #read<T>(work: (state: LedgerState) => Promise<T>): Promise<T> {
    return this.#work(async () => {
      await this.#state.refresh();
      return work(this.#state.snapshot());
    });
  }

  #work<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new TallybookError('closing', 'the store is closed', { retryAfter: 1 });
    const working = work();
    const settled: Promise<unknown> = working
      .catch(() => undefined)
      .finally(() => this.#working.delete(settled));
    this.#working.add(settled);
    return working;
  }

  #stateOf(stream: Stream): StreamState {
    const { droppedBefore, rollups } = this.#state.books(stream.name);
    const complete = stream.rollups.flatMap(({ name }) => {
      const from = rollups.get(name)?.completeFrom;
      return from === undefined ? [] : [[name, BigInt(from)] as const];
    });
    return { droppedBefore, rollupsCompleteFrom: new Map(complete) };
  }

  async #prepareTables(stream: Stream, tables: ReadonlyMap<string, Set<string>>): Promise<void> {
    const columns = tables.get(entriesTable(stream));
    // The last of its tables: a process may have died before it made that.
    const statements =
      columns && tables.has(duplicatesTable(stream))
        ? storedFields(stream)
            .filter(({ name }) => !columns.has(name))
            .flatMap((field) => addColumn(stream, field, this.#connection.cluster))
        : streamTables(stream, this.#connection.cluster);
    const missing = stream.rollups.filter((rollup) => !tables.has(rollupTable(stream, rollup)));
    statements.push(...missing.flatMap((rollup) => rollupTables(stream, rollup, this.#connection.cluster)));
    const kept = [entriesTable(stream), duplicatesTable(stream)];
    for (const table of [...kept, ...stream.rollups.map((rollup) => rollupTable(stream, rollup))])
      if (tables.get(table)?.has(partAgain) === false)
        statements.push(...addPartAgain(table, this.#connection.cluster));
    for (const statement of statements) await this.#connection.execute(statement);
  }

  /** The columns of each table. */
  async #tables(): Promise<Map<string, Set<string>>> {
    const rows = await this.#connection.rows(
      'select table, groupArray(name) from system.columns where database = currentDatabase() group by table',
    );
    return new Map(rows.map(([table, names]) => [String(table), new Set(names as unknown as string[])]));
  }

  /** Rollups that are new are filled with what the ledger holds, in the commit by which they are there. */
  async #prepareRollups(streams: readonly Stream[]): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const watch = this.#state.watch();
      try {
        const lines: CommitLine[] = [];
        for (const stream of streams) {
          const { rollups } = this.#state.books(stream.name);
          for (const rollup of stream.rollups)
            if (!rollups.has(rollup.name)) lines.push(await this.#fillRollup(stream, rollup));
        }
        if (lines.length === 0) return;
        const concerned = new Set(lines.map(({ stream }) => stream));
        const filled = await this.#state.take(
          lines,
          async (others) => !others.some(({ stream }) => concerned.has(stream)),
          { since: watch },
        );
        if (filled) return;
      } finally {
        watch.end();
      }
    }
    throw tooBusy();
  }

  async #fillRollup(stream: Stream, rollup: Rollup): Promise<CommitLine> {
    const { nextSeq, droppedBefore } = this.#state.books(stream.name);
    const value = JSON.stringify(declarationOf(rollup, droppedBefore));
    const line: CommitLine = { kind: 'rollup', stream: stream.name, value };
    if (nextSeq === 1n) return line;
    const part = await this.#state.reservePart();
    const conditions = seen(stream, this.#state, '');
    const bounds = await boundsOf(this.#connection, stream, conditions);
    const of = { conditions, part: String(part) };
    await addSums(this.#connection, stream, rollup, bounds, of, `fill ${part}`);
    return { ...line, part };
  }
}
