/**
 * The ClickHouse store: a ledger on a server or a cluster, for any number of processes that keep nothing of their own.
 *
 * Records are staged in the process, held against what stands in ClickHouse, written where nobody sees them, and
 * committed by one insert (ledger-state.ts).
 */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { type Micros, nowMicros } from '../../engine/calendar.ts';
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
  SharesLedger,
  Store,
  StreamState,
} from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { noCounts, type Receipt, type VerdictCounts } from '../../engine/verdicts.ts';
import { ask } from './ask.ts';
import { Connection } from './connection.ts';
import { fateOf, listEntries } from './entries.ts';
import { LedgerState } from './ledger-state.ts';
import { entriesTable, storedFields } from './names.ts';
import { attemptsMax, publishTexts, type TextDelivery, tooBusy } from './publish.ts';
import { type FileDelivery, publishFile } from './publish-file.ts';
import { addSums, boundsOf, declarationOf } from './rollups.ts';
import { addColumn, type Cluster, commitTables, rollupTables, streamTables } from './schema.ts';
import { seen } from './standing.ts';
import { dropRecords, freeDropped, verifyStream } from './tend.ts';

export interface ClickHouseStoreOptions {
  /** `clickhouse://user:password@host:8123/database`, or `clickhouses:` by TLS. The database must be there. */
  address: string;
  /** The name of a cluster; then the tables are replicated and spread over it. */
  cluster?: string | undefined;
  /** Microseconds; for tests. */
  clock?: () => Micros;
}

/** How often a process that is followed looks for what others have committed. */
const followMilliseconds = 1_000;

export async function openClickHouseStore(options: ClickHouseStoreOptions): Promise<Store & SharesLedger> {
  const connection = new Connection(options.address, options.cluster !== undefined);
  try {
    const [row] = await connection.rows('select currentDatabase()');
    const cluster = options.cluster && { name: options.cluster, database: String(row![0]) };
    for (const statement of commitTables(cluster || undefined)) await connection.execute(statement);
    const state = new LedgerState(connection, options.clock ?? nowMicros);
    await state.open();
    return new ClickHouseStore(connection, state, cluster || undefined);
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class ClickHouseStore implements Store, SharesLedger {
  readonly sharesLedger = true;
  readonly #connection: Connection;
  readonly #state: LedgerState;
  readonly #cluster: Cluster | undefined;
  readonly #streams = new Map<string, Stream>();
  /** One batch of texts at a time: what arrives meanwhile is the next batch (engine/writer.ts). */
  readonly #lock = new Lock();
  readonly #working = new Set<Promise<unknown>>();
  #following: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: Connection, state: LedgerState, cluster: Cluster | undefined) {
    this.#connection = connection;
    this.#state = state;
    this.#cluster = cluster;
  }

  prepare(streams: Stream[]): Promise<Map<string, StreamState>> {
    return this.#work(() =>
      this.#lock.run(async () => {
        await this.#state.refresh();
        const states = new Map<string, StreamState>();
        const tables = await this.#tables();
        for (const stream of new Set([rejectsStream, ...streams])) {
          await this.#prepareStream(stream, tables);
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
    return this.#read(() => ask(this.#connection, this.#state, plan));
  }

  entries(request: EntriesRequest): Promise<Entry[]> {
    return this.#read(() => listEntries(this.#connection, this.#state, request));
  }

  fate(stream: Stream, id: string): Promise<Fate> {
    return this.#read(() => fateOf(this.#connection, this.#state, stream, id));
  }

  tend({ drop }: { drop: { stream: Stream; before: Micros }[] }): Promise<{ dropped: number }> {
    return this.#work(async () => {
      let dropped = 0;
      for (const { stream, before } of drop)
        dropped += await this.#lock.run(() => this.#drop(stream, before));
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
    return this.#read(async () => {
      const checks: Check[] = [];
      for (const stream of this.#streams.values())
        checks.push(...(await verifyStream(this.#connection, this.#state, stream)));
      return checks;
    });
  }

  follow(listener: (counts: Map<string, VerdictCounts>) => void): void {
    const watch = this.#state.watch();
    const tell = (): void => {
      const others = watch.lines.splice(0).filter((line) => line.kind === 'part' && !this.#state.isOwn(line));
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

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#following);
    await Promise.all(this.#working);
    await this.#connection.close();
  }

  /** A question sees what is committed when it begins. */
  #read<T>(work: () => Promise<T>): Promise<T> {
    return this.#work(async () => {
      await this.#state.refresh();
      return work();
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

  async #prepareStream(stream: Stream, tables: ReadonlyMap<string, Set<string>>): Promise<void> {
    const connection = this.#connection;
    const columns = tables.get(entriesTable(stream));
    const statements = columns
      ? storedFields(stream)
          .filter(({ name }) => !columns.has(name))
          .flatMap((field) => addColumn(stream, field, this.#cluster))
      : streamTables(stream, this.#cluster);
    for (const statement of statements) await connection.execute(statement);
    for (const rollup of stream.rollups) await this.#prepareRollup(stream, rollup);
  }

  /** The columns of each table. */
  async #tables(): Promise<Map<string, Set<string>>> {
    const rows = await this.#connection.rows(
      'select table, groupArray(name) from system.columns where database = currentDatabase() group by table',
    );
    return new Map(rows.map(([table, names]) => [String(table), new Set(names as unknown as string[])]));
  }

  /** A rollup that is new is filled with what the ledger holds, in the commit by which it is there. */
  async #prepareRollup(stream: Stream, rollup: Rollup): Promise<void> {
    const books = this.#state.books(stream.name);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (books.rollups.has(rollup.name)) return;
      for (const statement of rollupTables(stream, rollup, this.#cluster))
        await this.#connection.execute(statement);
      const part = await this.#state.reservePart();
      const conditions = seen(stream, this.#state, '');
      const bounds = await boundsOf(this.#connection, stream, conditions);
      const of = { conditions, part: String(part) };
      await addSums(this.#connection, stream, rollup, bounds, of, `fill ${part}`);
      const value = JSON.stringify(declarationOf(rollup, books.droppedBefore));
      const filled = await this.#state.take(
        [{ kind: 'rollup', stream: stream.name, part, value }],
        async (others) => !others.some((line) => line.stream === stream.name),
      );
      if (filled) return;
    }
    throw tooBusy();
  }
}
