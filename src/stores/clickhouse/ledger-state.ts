/**
 * Where the ledger stands: a log of commits, in a table that all processes share, and how a process takes the next
 * position in it.
 *
 * ClickHouse has no transactions over tables, so what a batch writes (entries, sums, rejects) is in its tables before
 * it counts. It counts from the moment at which its parts stand in the table of commits; questions read the parts that
 * stand there, and no others. The rows of a commit are one block of one insert: they are there together.
 *
 * Any number of processes may write. Each commit takes the position behind the last one that its process has seen, by
 * an insert whose deduplication token is that position: of two inserts with the same token ClickHouse keeps the first,
 * on a single server by the log of the table, on a cluster by a node in Keeper. Who reads its own token back has
 * committed. Who does not, has learnt what others have committed, and looks whether it concerns the same streams: then
 * it compares and writes anew, else it takes the next position. No lease, no clock, nobody waits for one who died.
 *
 * A part's number is the position at which its process has opened an epoch, and a counter: so the numbers of parts are
 * never given twice, and those that count are a few ranges.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import type { KeptCopy } from '../../engine/copied-ledger.ts';
import { TallybookError } from '../../engine/errors.ts';
import { Lock } from '../../engine/lock.ts';
import type { AsOf } from '../../engine/store.ts';
import type { VerdictCounts } from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import { type Cell, commitsTable } from './names.ts';
import { checkVersion, schemaVersion } from './schema.ts';

export type CommitKind = 'part' | 'seqs' | 'epoch' | 'drop' | 'rollup' | 'copy' | 'suspects' | 'void';

/** A line of a commit. */
export interface CommitLine {
  kind: CommitKind;
  stream?: string;
  part?: bigint;
  mode?: string;
  source?: string;
  import?: number | null;
  reason?: string | null;
  counts?: VerdictCounts;
  /**
   * Of seqs the last one that is taken, of drop the time, of rollup its declaration, of copy how it stands, of suspects
   * and void the parts (see abandoned.ts).
   */
  value?: string;
  /** Of a part that is copied: its own, where any other gets those of its commit. */
  batch?: number;
  recordedAt?: Micros;
}

export interface Committed extends CommitLine {
  position: bigint;
  takenBy: string;
  /** Committed by this process, which knows of it. What it has got no answer to is as one of another's. */
  own: boolean;
}

export interface Stamp {
  position: bigint;
  batch: number;
  recordedAt: Micros;
}

/** A rollup as the commits know it. */
export interface KnownRollup {
  name: string;
  every: string;
  tz: string;
  by: string[];
  sum: string[];
  completeFrom?: string;
}

export interface StreamBooks {
  nextSeq: bigint;
  droppedBefore: Micros | undefined;
  rollups: Map<string, KnownRollup>;
}

/** The value of a line `suspects`. */
export interface Suspects {
  /** Microseconds. */
  at: string;
  parts: string[];
}

/** Gathers what is committed while it lasts. */
export interface Watch {
  lines: Committed[];
  end(): void;
}

const columns = [
  'position',
  'taken_by',
  'kind',
  'batch',
  'recorded_at',
  'part',
  'stream',
  'mode',
  'source',
  'import',
  'reason',
  'accepted',
  'duplicates',
  'corrected',
  'conflicts',
  'rejected',
  'retracted',
  'value',
] as const;

/** A counter within an epoch has so many bits. */
export const counterBits = 24n;
/** For so long an insert that got no answer is sent again: it is there once, whatever became of the first. */
const answerMilliseconds = 3_000;
/** So often the rows of a position that is taken are looked for: a minute at least. */
const rowsAwaited = 6_000;
/** With more ranges than this, ClickHouse reads the parts that count from the table itself. */
const rangesMax = 200;

export class LedgerState {
  readonly #connection: Connection;
  readonly #clock: () => Micros;
  readonly #refreshing = new Lock();
  readonly #watches = new Map<Committed[], (line: Committed) => boolean>();
  /** By what this process takes positions now. */
  readonly #taking = new Set<string>();
  readonly #streams = new Map<string, StreamBooks>();
  /** Numbers of parts that count, ascending. */
  #ranges: { from: bigint; to: bigint }[] = [];
  #position = 0n;
  #lastInstant: Micros = -1n;
  #lastBatch: { batch: number; recordedAt: Micros } = { batch: 0, recordedAt: 0n };
  #greatestBatch = 0;
  #copy: KeptCopy | undefined;
  readonly #suspects = new Map<bigint, Micros>();
  readonly #void = new Set<bigint>();
  #epoch: bigint | undefined;
  #counter = 0n;

  constructor(connection: Connection, clock: () => Micros) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Reads what there is. */
  async open(): Promise<void> {
    const [head] = await this.#connection.rows(`select max(position) from ${commitsTable}`);
    const position = BigInt(String(head![0] ?? 0));
    const until = `position <= ${position}`;
    const [last, ranges, others] = await Promise.all([
      this.#connection.rows(
        `select max(batch), max(recorded_at), argMaxIf(batch, recorded_at, kind = 'part'), maxIf(recorded_at, kind = 'part') from ${commitsTable} where ${until}`,
      ),
      this.#connection.rows(`select min(part), max(part) from (
          select part, part - row_number() over (order by part) as island
          from ${commitsTable} where ${until} and kind in ('part', 'rollup', 'drop') and part > 0)
        group by island order by 1`),
      this.#connection.rows(`select kind, stream, value from ${commitsTable}
        where ${until} and kind in ('drop', 'rollup', 'epoch', 'copy', 'suspects', 'void') order by position
        union all select 'seqs', stream, toString(max(toInt64(value))) from ${commitsTable} where ${until} and kind = 'seqs' group by stream`),
    ]);
    const [greatest, instant, batch, recordedAt] = last[0]!;
    this.#greatestBatch = Number(greatest);
    this.#position = position;
    this.#lastInstant = BigInt(String(instant));
    this.#lastBatch = { batch: Number(batch), recordedAt: BigInt(String(recordedAt)) };
    this.#ranges = ranges.map(([from, to]) => ({ from: BigInt(String(from)), to: BigInt(String(to)) }));
    for (const [kind, stream, value] of others)
      this.#learn({ kind: kind as CommitKind, stream: String(stream), value: String(value) });
  }

  /** Learns what has been committed since. */
  refresh(): Promise<void> {
    return this.#refreshing.run(async () => {
      const rows = await this.#connection.rows(
        `select ${columns.join(', ')} from ${commitsTable} where position > ${this.#position} order by position`,
      );
      for (const row of rows) {
        // It may be there while the one before it is still on its way to this replica.
        if (BigInt(String(row[0])) > this.#position + 1n) break;
        this.#apply(row);
      }
    });
  }

  #apply(row: Cell[]): void {
    const cell = (name: (typeof columns)[number]): Cell => row[columns.indexOf(name)]!;
    const takenBy = String(cell('taken_by'));
    const line: Committed = {
      position: BigInt(String(cell('position'))),
      takenBy,
      own: this.#taking.has(takenBy),
      kind: cell('kind') as CommitKind,
      stream: String(cell('stream')),
      part: BigInt(String(cell('part'))),
      value: String(cell('value')),
      counts: {
        accepted: Number(cell('accepted')),
        duplicates: Number(cell('duplicates')),
        corrected: Number(cell('corrected')),
        conflicts: Number(cell('conflicts')),
        rejected: Number(cell('rejected')),
        retracted: Number(cell('retracted')),
      },
    };
    const recordedAt = BigInt(String(cell('recorded_at')));
    this.#position = line.position;
    if (recordedAt > this.#lastInstant) this.#lastInstant = recordedAt;
    if (line.kind === 'part') {
      const batch = Number(cell('batch'));
      if (recordedAt >= this.#lastBatch.recordedAt) this.#lastBatch = { batch, recordedAt };
      if (batch > this.#greatestBatch) this.#greatestBatch = batch;
    }
    if (line.part !== 0n) this.#count(line.part!);
    this.#learn(line);
    for (const [lines, isWanted] of this.#watches) if (isWanted(line)) lines.push(line);
  }

  #learn({ kind, stream = '', value = '' }: CommitLine): void {
    if (kind === 'epoch') checkVersion(Number(value));
    if (kind === 'seqs' && BigInt(value) >= this.books(stream).nextSeq)
      this.books(stream).nextSeq = BigInt(value) + 1n;
    if (kind === 'suspects') {
      const { at, parts } = JSON.parse(value) as Suspects;
      for (const part of parts) this.#suspects.set(BigInt(part), BigInt(at));
    }
    if (kind === 'void') for (const part of JSON.parse(value) as string[]) this.#void.add(BigInt(part));
    if (kind === 'copy') this.#copy = JSON.parse(value) as KeptCopy;
    if (kind === 'drop') this.books(stream).droppedBefore = BigInt(value);
    if (kind === 'rollup') {
      const rollup = JSON.parse(value) as KnownRollup;
      this.books(stream).rollups.set(rollup.name, rollup);
    }
  }

  /** A part counts. They come nearly in order. */
  #count(part: bigint): void {
    const after = this.#ranges.findLastIndex(({ from }) => from <= part);
    const range = this.#ranges[after];
    const next = this.#ranges[after + 1];
    if (range && part <= range.to) return;
    if (range && range.to + 1n === part) {
      range.to = part;
      if (next && next.from === part + 1n) {
        range.to = next.to;
        this.#ranges.splice(after + 1, 1);
      }
    } else if (next && next.from === part + 1n) next.from = part;
    else this.#ranges.splice(after + 1, 0, { from: part, to: part });
  }

  books(stream: string): StreamBooks {
    const known = this.#streams.get(stream);
    if (known) return known;
    const books: StreamBooks = { nextSeq: 1n, droppedBefore: undefined, rollups: new Map() };
    this.#streams.set(stream, books);
    return books;
  }

  /** A condition on `_part`: it counts now, or is one of some that are under way. */
  visible(underWay: readonly bigint[] = []): string {
    const own = underWay.length > 0 ? [`_part in (${underWay.join(', ')})`] : [];
    const committed =
      this.#ranges.length > rangesMax
        ? [`_part in (select part from ${commitsTable} where position <= ${this.#position} and part > 0)`]
        : this.#ranges.map(({ from, to }) =>
            from === to ? `_part = ${from}` : `_part between ${from} and ${to}`,
          );
    const all = [...committed, ...own];
    return all.length === 0 ? 'false' : `(${all.join(' or ')})`;
  }

  /** The position up to which this process has read. */
  get position(): bigint {
    return this.#position;
  }

  /** Since when a part has been known to be written and not committed. */
  suspectSince(part: bigint): Micros | undefined {
    return this.#suspects.get(part);
  }

  /** Whether a part can never be committed. */
  isVoid(part: bigint): boolean {
    return this.#void.has(part);
  }

  counts(part: bigint): boolean {
    return this.#ranges.some(({ from, to }) => from <= part && part <= to);
  }

  /** Of which ledger this is a copy, if it is one. */
  get copy(): KeptCopy | undefined {
    return this.#copy;
  }

  get last(): AsOf {
    return { batch: this.#lastBatch.batch, recorded_at: formatTimestamp(this.#lastBatch.recordedAt) };
  }

  get nextBatch(): number {
    return this.#greatestBatch + 1;
  }

  /** The time of a commit: later than that of every commit before, whatever the clock does. */
  nextInstant(): Micros {
    const now = this.#clock();
    return now > this.#lastInstant ? now : this.#lastInstant + 1n;
  }

  reserveSeq(stream: string): bigint {
    return this.books(stream).nextSeq++;
  }

  /** Numbers that are not committed in the end are lost, which does no harm. */
  async reservePart(): Promise<bigint> {
    if (this.#epoch === undefined || this.#counter >= (1n << counterBits) - 1n) {
      for (let stamp: Stamp | undefined; !stamp; ) {
        stamp = await this.take([{ kind: 'epoch', value: String(schemaVersion) }], async () => true);
        this.#epoch = stamp?.position;
      }
      this.#counter = 0n;
    }
    this.#counter += 1n;
    return (this.#epoch! << counterBits) + this.#counter;
  }

  /** What is committed now, and nothing that is learnt later: so all statements of a question read the same. */
  snapshot(): LedgerState {
    const now = new LedgerState(this.#connection, this.#clock);
    for (const [stream, books] of this.#streams)
      now.#streams.set(stream, { ...books, rollups: new Map(books.rollups) });
    now.#ranges = this.#ranges.map((range) => ({ ...range }));
    now.#position = this.#position;
    now.#lastInstant = this.#lastInstant;
    now.#lastBatch = this.#lastBatch;
    now.#greatestBatch = this.#greatestBatch;
    now.#copy = this.#copy;
    return now;
  }

  watch(isWanted: (line: Committed) => boolean = () => true): Watch {
    const lines: Committed[] = [];
    this.#watches.set(lines, isWanted);
    return { lines, end: () => this.#watches.delete(lines) };
  }

  /**
   * Takes the next position for some lines. When others were first, or this process by another work, `goOn` is asked
   * whether the lines are as right as they were, with what others have committed; if not, the answer is undefined, and
   * nothing was committed. So it is when one of the parts has been given up for abandoned: whoever takes a position has
   * read all before it. Throws `database_unavailable` when nobody can say what became of the lines: they may yet be
   * committed.
   * @param since watches since before anything was read on which the lines rest: questions that are answered meanwhile
   *   learn what others commit, too. May be left out where the lines rest on nothing that was read.
   */
  async take(
    lines: CommitLine[],
    goOn: (others: Committed[]) => Promise<boolean>,
    { since, recordedAt }: { since?: Watch; recordedAt?: Micros } = {},
  ): Promise<Stamp | undefined> {
    const takenBy = randomUUID();
    this.#taking.add(takenBy);
    const watch = since ?? this.watch();
    let stamp: Stamp | undefined;
    let seen = 0;
    let waited = 0;
    let lostAt: number | undefined;
    try {
      for (;;) {
        while (seen < watch.lines.length) {
          const learnt = watch.lines.slice(seen);
          seen = watch.lines.length;
          if (learnt.some((line) => line.takenBy === takenBy)) return stamp;
          if (!(await goOn(learnt.filter(({ own }) => !own)))) return undefined;
        }
        // From here to the insert nothing is waited for: all that is learnt has been asked about.
        if (lines.some(({ part }) => part !== undefined && this.#void.has(part))) return undefined;
        // The same insert again has the same rows: it may be the first that is kept.
        if (stamp?.position !== this.#position + 1n) stamp = this.#nextStamp(recordedAt);
        try {
          await this.#connection.insert(
            commitsTable,
            columns,
            lines.map((line) => rowOf(line, stamp!, takenBy)),
            `position ${stamp.position}`,
          );
          await this.refresh();
          lostAt = undefined;
        } catch (error) {
          lostAt ??= performance.now();
          const isUnknown = error instanceof TallybookError && error.code === 'database_unavailable';
          const isOver = !isUnknown || performance.now() - lostAt > answerMilliseconds;
          // A question may have learnt meanwhile that it is there.
          if (isOver && watch.lines.length === seen) throw error;
        }
        if (watch.lines.length > seen) waited = 0;
        else if (lostAt !== undefined) await sleep(100);
        // Taken by one whose rows are still on their way to this replica.
        else if (waited++ < rowsAwaited) await sleep(10);
        else throw withoutRows(this.#connection, stamp.position);
      }
    } finally {
      this.#taking.delete(takenBy);
      if (!since) watch.end();
    }
  }

  #nextStamp(recordedAt: Micros | undefined): Stamp {
    const instant = this.nextInstant();
    return {
      position: this.#position + 1n,
      batch: this.nextBatch,
      recordedAt: recordedAt !== undefined && recordedAt > instant ? recordedAt : instant,
    };
  }
}

/** A position is taken, and whose it is cannot be read. */
function withoutRows({ place }: Connection, position: bigint): TallybookError {
  return new TallybookError(
    'database_unavailable',
    `ClickHouse at ${place} has commit ${position} and does not show its rows; see that its replicas are in step, and that no rows were deleted from its table ${commitsTable}`,
    { retryAfter: 5 },
  );
}

function rowOf(line: CommitLine, stamp: Stamp, takenBy: string): Cell[] {
  const { counts } = line;
  const cells: Record<(typeof columns)[number], Cell> = {
    position: String(stamp.position),
    taken_by: takenBy,
    kind: line.kind,
    batch: line.kind === 'part' ? (line.batch ?? stamp.batch) : 0,
    recorded_at: line.kind === 'part' ? String(line.recordedAt ?? stamp.recordedAt) : '0',
    part: String(line.part ?? 0n),
    stream: line.stream ?? '',
    mode: line.mode ?? '',
    source: line.source ?? '',
    import: line.import ?? null,
    reason: line.reason ?? null,
    accepted: counts?.accepted ?? 0,
    duplicates: counts?.duplicates ?? 0,
    corrected: counts?.corrected ?? 0,
    conflicts: counts?.conflicts ?? 0,
    rejected: counts?.rejected ?? 0,
    retracted: counts?.retracted ?? 0,
    value: line.value ?? '',
  };
  return columns.map((name) => cells[name]);
}

/** What is told of some parts: those of entries that were read. */
export interface Part {
  batch: number;
  recorded_at: string;
  source: string;
  import: number | null;
  reason: string | null;
}

export async function readParts(connection: Connection, parts: Iterable<Cell>): Promise<Map<string, Part>> {
  const wanted = [...new Set([...parts].map(String))];
  if (wanted.length === 0) return new Map();
  const rows = await connection.rows(
    `select part, batch, recorded_at, source, import, reason from ${commitsTable}
     where kind = 'part' and part in (${wanted.map((part) => BigInt(part)).join(', ')})`,
  );
  return new Map(
    rows.map(([part, batch, recordedAt, source, importId, reason]) => [
      String(part),
      {
        batch: Number(batch),
        recorded_at: formatTimestamp(BigInt(String(recordedAt))),
        source: String(source),
        import: importId === null ? null : Number(importId),
        reason: reason as string | null,
      },
    ]),
  );
}

/** A condition on `_part`, beside that it counts: recorded by a time. Empty when there is no such limit. */
export function knownCondition(knownAt: Micros | undefined): string {
  if (knownAt === undefined) return '';
  return `_part in (select part from ${commitsTable} where kind = 'part' and recorded_at <= ${knownAt})`;
}

export function touchedCondition(after: Micros): string {
  return `_part in (select part from ${commitsTable} where kind = 'part' and recorded_at > ${after})`;
}

/** The last commit at or before a time. */
export async function asOf(
  connection: Connection,
  state: LedgerState,
  knownAt: Micros | undefined,
): Promise<AsOf> {
  if (knownAt === undefined) return state.last;
  const [row] = await connection.rows(`select batch, recorded_at from ${commitsTable}
    where kind = 'part' and recorded_at <= ${knownAt} and position <= ${state.position} order by recorded_at desc limit 1`);
  const [batch, recordedAt] = row ?? [0, 0];
  return { batch: Number(batch), recorded_at: formatTimestamp(BigInt(String(recordedAt))) };
}
