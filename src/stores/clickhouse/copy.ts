/**
 * Reading a ledger as it is kept, and filling one with another's (engine/ledger-copy.ts).
 *
 * What is read is of one position: what is committed later is not seen. What is filled in is written behind a line of
 * the kind `copy`, which keeps every process from opening it until the last such line says that it is done. Up to where
 * a stream has come stands in the table of commits as `seqs`; what an earlier run has written behind that is deleted
 * before it is written again.
 */
import { randomUUID } from 'node:crypto';
import { formatTimestamp } from '../../engine/calendar.ts';
import {
  blockRows,
  bucketRanges,
  type CopiedBlock,
  type CopiedEntry,
  type CopiedPart,
  type CopiedSums,
  type CopyMark,
  checkMark,
  goneOn,
  type KeptCopy,
  type LedgerFiller,
  type LedgerReader,
  notEmpty,
  type Tally,
} from '../../engine/copied-ledger.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Mode } from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import type { Connection } from './connection.ts';
import { hashOf } from './draft.ts';
import { type CommitLine, counterBits, type LedgerState, type Watch } from './ledger-state.ts';
import {
  type Cell,
  cellOf,
  commitsTable,
  duplicatesOf,
  duplicatesTable,
  entriesOf,
  entriesTable,
  fieldValue,
  quote,
  rollupOf,
  rollupTable,
  storedFields,
  textOf,
} from './names.ts';
import { columnsOf, declarationOf, sumCells } from './rollups.ts';
import { keptUnits, schemaVersion } from './schema.ts';
import { seen } from './standing.ts';

// --- reading ------------------------------------------------------------------------------------------------

/** @param state of a ledger that does not go on meanwhile: its own, for this reader alone */
export function ledgerReader(connection: Connection, state: LedgerState): LedgerReader {
  return {
    mark: () => markOf(connection, state),
    parts: () => readParts(connection, state),
    blocks: (stream, after) => readBlocks(connection, state, stream, after),
    droppedSums: (stream, rollup) => readDroppedSums(connection, state, stream, rollup),
    lastSeq: async (stream) => state.books(stream.name).nextSeq - 1n,
    tally: (stream) => tallyOf(connection, state, stream),
  };
}

const committedParts = (state: LedgerState): string => `kind = 'part' and position <= ${state.position}`;

async function markOf(connection: Connection, state: LedgerState): Promise<CopyMark> {
  const [row] = await connection.rows(
    `select argMax(batch, recorded_at), max(recorded_at), count() from ${commitsTable} where ${committedParts(state)}`,
  );
  const [batch, recordedAt, parts] = row!;
  return {
    batch: Number(batch),
    recorded_at: Number(parts) === 0 ? '' : formatTimestamp(BigInt(String(recordedAt))),
    parts: Number(parts),
  };
}

const countNames = ['accepted', 'duplicates', 'corrected', 'conflicts', 'rejected', 'retracted'] as const;

async function* readParts(connection: Connection, state: LedgerState): AsyncIterable<CopiedPart[]> {
  let after = ['-9000000000000000000', '0'];
  for (;;) {
    const [at, part] = after;
    const rows = await connection.rows(
      `select part, batch, recorded_at, stream, mode, source, import, reason, ${countNames.join(', ')}
       from ${commitsTable} where ${committedParts(state)}
         and (recorded_at > ${at} or (recorded_at = ${at} and part > ${part}))
       order by recorded_at, part limit ${blockRows}`,
    );
    if (rows.length === 0) return;
    yield rows.map(partOf);
    after = [String(rows.at(-1)![2]), String(rows.at(-1)![0])];
  }
}

function partOf([
  number,
  batch,
  recordedAt,
  stream,
  mode,
  source,
  imported,
  reason,
  ...counts
]: Cell[]): CopiedPart {
  return {
    number: BigInt(String(number)),
    batch: Number(batch),
    recordedAt: BigInt(String(recordedAt)),
    stream: String(stream),
    mode: mode as Mode,
    source: String(source),
    import: imported === null ? null : Number(imported),
    reason: reason as string | null,
    counts: Object.fromEntries(
      countNames.map((name, i) => [name, Number(counts[i])]),
    ) as unknown as CopiedPart['counts'],
  };
}

async function* readBlocks(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  after: bigint,
): AsyncIterable<CopiedBlock> {
  const values = stream.fields.map((field) => `, ${fieldValue(stream, field)}`);
  const where = seen(stream, state, '').join(' and ');
  for (let from = after; ; ) {
    const rows = await connection.rows(
      `select _e._seq, _e._part, _e._sign, _e._reverses, _e._id${values.join('')} from ${entriesOf(stream)} _e
       where _e._seq > ${from} and ${where} order by _e._seq limit ${blockRows}`,
    );
    if (rows.length === 0) return;
    const entries = rows.map(
      ([seq, part, sign, reverses, id, ...cells]): CopiedEntry => ({
        seq: BigInt(String(seq)),
        part: BigInt(String(part)),
        sign: Number(sign) as 1 | -1,
        reverses: reverses === null ? null : BigInt(String(reverses)),
        id: String(id),
        values: stream.fields.map((field, i) => textOf(field, cells[i]!)),
      }),
    );
    const to = entries.at(-1)!.seq;
    const repeats = await connection.rows(
      `select _seq, _part from ${duplicatesOf(stream)} where _seq > ${from} and _seq <= ${to} and ${state.visible()}
       order by _seq, _part`,
    );
    yield {
      to,
      entries,
      repeats: repeats.map(([seq, part]) => ({ seq: BigInt(String(seq)), part: BigInt(String(part)) })),
    };
    from = to;
  }
}

async function* readDroppedSums(
  connection: Connection,
  state: LedgerState,
  stream: Stream,
  rollup: Rollup,
): AsyncIterable<CopiedSums[]> {
  const dropped = `from ${rollupOf(stream, rollup)} _e where _e._dropped = 1 and ${state.visible()}`;
  const counts = await connection.rows(`select _e._bucket as b, count() ${dropped} group by b`);
  const keys = ['b', ...rollup.by.map((_, i) => `d${i}`)].join(', ');
  const columns = [
    '_e._bucket as b',
    ...rollup.by.map(({ name }, i) => `_e.${quote(name)} as d${i}`),
    ...rollup.sum.map((field) => `toString(sum(toInt256(${keptUnits(field)})))`),
    'sum(_e._count)',
  ];
  const buckets = counts.map(([bucket, rows]) => [BigInt(String(bucket)), Number(rows)] as const);
  for (const { from, to } of bucketRanges(buckets)) {
    const rows = await connection.rows(
      `select ${columns.join(', ')} ${dropped} and _e._bucket between ${from} and ${to} group by ${keys}`,
    );
    yield rows.map(
      ([bucket, ...cells]): CopiedSums => ({
        bucket: String(bucket),
        by: rollup.by.map((field, i) => textOf(field, cells[i]!)),
        sums: rollup.sum.map((_, i) => BigInt(String(cells[rollup.by.length + i]))),
        count: BigInt(String(cells.at(-1))),
      }),
    );
  }
}

async function tallyOf(connection: Connection, state: LedgerState, stream: Stream): Promise<Tally> {
  const [[entries, takenBack, lastSeq] = []] = await connection.rows(
    `select count(), countIf(_e._sign = -1), max(_e._seq) from ${entriesOf(stream)} _e where ${seen(stream, state, '').join(' and ')}`,
  );
  const [[repeats] = []] = await connection.rows(
    `select count() from ${duplicatesOf(stream)} where ${state.visible()}`,
  );
  return {
    entries: Number(entries),
    takenBack: Number(takenBack),
    repeats: Number(repeats),
    lastSeq: BigInt(String(lastSeq)),
  };
}

// --- filling ------------------------------------------------------------------------------------------------

/**
 * Copied parts are numbered as if the process that began the copy, at position 1, had given them. Should they be more than
 * an epoch has, they go on into the numbers of the next positions, which nobody opens an epoch at: those are taken by
 * the very lines of the parts.
 */
const partNumber = (number: bigint): bigint => (1n << counterBits) + number;

/** @param place for people */
export function ledgerFiller(connection: Connection, state: LedgerState, place: string): LedgerFiller {
  return new Filler(connection, state, place);
}

class Filler implements LedgerFiller {
  readonly #connection: Connection;
  readonly #state: LedgerState;
  readonly #place: string;
  /** Tokens of its inserts begin with it: those of an earlier run are known to ClickHouse, their rows may be deleted. */
  readonly #run = randomUUID();
  /** What was committed since this run has begun, but for its own. */
  #since: Watch | undefined;

  constructor(connection: Connection, state: LedgerState, place: string) {
    this.#connection = connection;
    this.#state = state;
    this.#place = place;
  }

  async begin(mark: CopyMark): Promise<{ finished: boolean; parts: number }> {
    await this.#state.refresh();
    this.#since = this.#state.watch();
    const { copy } = this.#state;
    if (!copy) {
      const tables = await this.#connection.rows(
        `select 1 from system.tables where database = currentDatabase() and name like '%.entries' limit 1`,
      );
      if (this.#state.position > 0n || tables.length > 0) throw notEmpty(this.#place);
      await this.#take([
        this.#line({ of: mark, finished: false }),
        { kind: 'epoch', value: String(schemaVersion) },
      ]);
      if (this.#state.position !== 1n) throw notEmpty(this.#place);
      return { finished: false, parts: 0 };
    }
    checkMark(copy.of, mark);
    const now = await markOf(this.#connection, this.#state);
    if (copy.finished) {
      if (now.parts !== mark.parts || now.recorded_at !== mark.recorded_at) throw goneOn(this.#place);
      return { finished: true, parts: now.parts };
    }
    // Whoever goes on says so: a run before this one that still lives stops at its next line.
    await this.#take([this.#line(copy)]);
    return { finished: false, parts: now.parts };
  }

  async addParts(parts: CopiedPart[]): Promise<void> {
    await this.#take(
      parts.map(({ number, ...part }) => ({ kind: 'part' as const, part: partNumber(number), ...part })),
    );
  }

  async lastSeq(stream: Stream): Promise<bigint> {
    const last = this.#state.books(stream.name).nextSeq - 1n;
    for (const table of [entriesTable(stream), duplicatesTable(stream)]) {
      const behind = `_seq > ${last}`;
      const left = await this.#connection.rows(`select 1 from ${quote(table)} where ${behind} limit 1`);
      if (left.length > 0) await this.#connection.remove(table, behind);
    }
    return last;
  }

  async addBlock(stream: Stream, { to, entries, repeats }: CopiedBlock): Promise<void> {
    const fields = storedFields(stream);
    const at = fields.map((field) => stream.fields.indexOf(field));
    const rows = entries.map(({ seq, part, sign, reverses, id, values }): Cell[] => [
      String(seq),
      String(partNumber(part)),
      sign,
      reverses === null ? null : String(reverses),
      hashOf(id),
      id,
      ...fields.map((field, i) => cellOf(field, values[at[i]!] ?? null)),
    ]);
    const again = repeats.map(({ seq, part }): Cell[] => [String(seq), String(partNumber(part))]);
    const columns = [
      '_seq',
      '_part',
      '_sign',
      '_reverses',
      '_hash',
      '_id',
      ...fields.map(({ name }) => name),
    ];
    const token = `${this.#run} ${to}`;
    await this.#connection.insert(entriesTable(stream), columns, rows, token);
    await this.#connection.insert(duplicatesTable(stream), ['_seq', '_part'], again, token);
    await this.#take([{ kind: 'seqs', stream: stream.name, value: String(to) }]);
  }

  async setDropped(
    ...[stream, { droppedBefore, rollupsCompleteFrom, lastSeq }, sums]: Parameters<LedgerFiller['setDropped']>
  ) {
    // A part that counts from the drop on; those of a run that did not come so far never will.
    const part = await this.#state.reservePart();
    let blocks = 0;
    for await (const { rollup, rows } of sums) {
      const cells = rows.map((row) => sumCells(rollup, row, part));
      const token = `${this.#run} ${part} ${blocks++}`;
      await this.#connection.insert(rollupTable(stream, rollup), columnsOf(rollup), cells, token);
    }
    const complete = stream.rollups.flatMap((rollup): CommitLine[] => {
      const from = rollupsCompleteFrom.get(rollup.name);
      const value = JSON.stringify(declarationOf(rollup, from));
      return from === undefined ? [] : [{ kind: 'rollup', stream: stream.name, value }];
    });
    await this.#take([
      ...complete,
      { kind: 'seqs', stream: stream.name, value: String(lastSeq) },
      { kind: 'drop', stream: stream.name, part, value: String(droppedBefore) },
    ]);
  }

  async finish(): Promise<void> {
    await this.#take([this.#line({ of: this.#state.copy!.of, finished: true })]);
  }

  #line(copy: KeptCopy): CommitLine {
    return { kind: 'copy', value: JSON.stringify(copy) };
  }

  async #take(lines: CommitLine[]): Promise<void> {
    const since = this.#since!;
    const stamp = await this.#state.take(lines, async (others) => others.length === 0, { since });
    since.lines.length = 0;
    if (stamp) return;
    throw new TallybookError(
      'copy_refused',
      `another process has begun to write to ${this.#place}; see that one copy runs at a time, and no server on it`,
    );
  }
}
