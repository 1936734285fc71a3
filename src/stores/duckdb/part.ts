/**
 * A part: the records of a batch that share stream, form, mode, source and reason. It is staged, resolved and appended
 * inside a transaction that the caller holds. This is the way of records that come in memory; files go by way of
 * publish-file.ts with the same SQL.
 */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { firstInstant, formatTimestamp, lastInstant, type Micros } from '../../engine/calendar.ts';
import { limits } from '../../engine/limits.ts';
import { isConcerned, type Refused } from '../../engine/record-check.ts';
import { boundsOf } from '../../engine/stage-record.ts';
import type { Delivery, Mode, TextDelivery, Texts } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import {
  countOfVerdict,
  noCounts,
  type Receipt,
  recordMessages,
  type Verdict,
  type VerdictCounts,
  type VerdictName,
} from '../../engine/verdicts.ts';
import {
  appendAccepted,
  appendDuplicates,
  appendNew,
  appendRejects,
  appendReversals,
  appendRollupOfNew,
  appendRollupOfResolved,
  rejectsParameters,
} from './append.ts';
import { lookClosely, refusalOf, refusedByCheck } from './casts.ts';
import type { Connection } from './connection.ts';
import { boundsWithin } from './entries.ts';
import { foundExactly, putFound, rewriteExactly } from './exact-rows.ts';
import { type Held, holdAgainst, refusedText } from './held-against.ts';
import { mergeRanges, type SeqRange } from './id-filter.ts';
import type { BatchStamp, LedgerState } from './ledger-state.ts';
import { quote, storedFields } from './names.ts';
import { knownSelect, knownTable, type PartTables, resolvedColumns, resolvedSelect } from './resolve.ts';
import { retractedId } from './retracted-id.ts';
import {
  needsFallback,
  recordSeparator,
  type StagedContent,
  seqsPerRow,
  stagedParameters,
  stageIdsSql,
  stageTable,
  stageTextsSql,
  undecodableMark,
} from './stage.ts';
import { StagedRows } from './staged-rows.ts';

/** The bounds of a record's time at this moment, in microseconds. */
export function timeBounds(stream: Stream, state: LedgerState): { horizon: Micros; latest: Micros } {
  const { droppedBefore } = state.books(stream);
  const { horizon = firstInstant, latest = lastInstant } = boundsOf(stream, state.now(), droppedBefore);
  return { horizon, latest };
}

/** What all records of a part have in common. */
type Common = Pick<StagedContent, 'part' | 'base' | 'horizon' | 'latest'>;

/** Writes parts over one connection, whose temporary tables it keeps. */
export class PartWriter {
  readonly #connection: Connection;
  readonly #state: LedgerState;
  readonly #tables = new Map<string, { stream: Stream; tables: PartTables; exact: string }>();

  constructor(connection: Connection, state: LedgerState) {
    this.#connection = connection;
    this.#state = state;
  }

  /** Makes the temporary tables of the streams; not inside a transaction. Repeated when a stream has changed. */
  async prepare(streams: Iterable<Stream>): Promise<void> {
    for (const stream of streams) {
      if (this.#tables.get(stream.name)?.stream === stream) continue;
      const names = {
        stage: quote(`stage_${stream.name}`),
        n: '_n',
        suspects: 'suspects',
        known: quote(`known_${stream.name}`),
        resolved: 'resolved',
      };
      const exact = quote(`exact_${stream.name}`);
      await this.#connection.execute(`${stageTable(stream, names.stage, true)}; ${stageTable(stream, exact, true)};
        ${knownTable(stream, names.known)};
        create temp table if not exists suspects (_hash ubigint, repeated boolean);
        create temp table if not exists resolved ${resolvedColumns};`);
      this.#tables.set(stream.name, { stream, tables: names, exact });
    }
  }

  /** Publishes deliveries that share stream, form, mode, source and reason. Returns a receipt for each. */
  async write(deliveries: TextDelivery[], stamp: BatchStamp): Promise<Receipt[]> {
    const { stream, mode } = deliveries[0]!;
    const { tables } = this.#tables.get(stream.name)!;
    const count = deliveries.reduce((sum, delivery) => sum + delivery.content.texts.length, 0);
    const base = this.#state.reserveSeqs(stream, BigInt(count) * seqsPerRow);
    const part = this.#state.reservePart();
    stamp.parts.push({ stream, part });
    const bounds = stamp.journaled
      ? { horizon: firstInstant, latest: lastInstant }
      : timeBounds(stream, this.#state);
    const rows = await this.#stage(deliveries, { part, base, ...bounds });
    const held = await this.#holdAgainst(deliveries[0]!, rows);
    const suspects = await this.#findKnown(deliveries[0]!, this.#findSuspects(deliveries[0]!, rows, base));
    const verdicts = suspects ? await this.#resolve(stream, mode, suspects) : noVerdicts;
    const kinds = new Set(verdicts.values());
    kinds.delete('accepted');
    if (kinds.size > 0 && !rows.hasAllIds) {
      const told = `select r._n, t._id from resolved r join ${tables.stage} t using (_n) where r.verdict <> 'accepted'`;
      for (const [n, id] of await this.#connection.rows(told)) rows.ids.set(n as number, id as string | null);
    }
    await this.#append(stream, mode, count - rows.bad.size, verdicts);
    if (rows.bad.size > 0 || kinds.has('conflict') || kinds.has('not_found'))
      await this.#reject(deliveries, stamp, part, count);
    const receipts = this.#receipts(deliveries, rows, verdicts, stamp);
    await this.#empty(tables, suspects);
    await book(this.#connection, [{ delivery: deliveries[0]!, part, stamp, counts: countsOf(receipts) }]);
    await this.#takeBackReplayed(
      deliveries,
      stamp,
      (n) => rows.bad.has(n) || verdicts.get(n) === 'conflict' || verdicts.get(n) === 'not_found',
    );
    const taken = (n: number) => ['accepted', 'corrected'].includes(verdicts.get(n) ?? 'accepted');
    await this.note(
      deliveries[0]!,
      held.filter(({ n }) => taken(n)),
      stamp,
    );
    return receipts;
  }

  /**
   * Appends entries, duplicates and sums of a part that is staged and resolved.
   * @param count its well-formed records
   * @param verdicts of its suspects; all others were surely new
   */
  async #append(
    stream: Stream,
    mode: Mode,
    count: number,
    verdicts: ReadonlyMap<number, string>,
  ): Promise<void> {
    const { tables } = this.#tables.get(stream.name)!;
    const kinds = new Set(verdicts.values());
    if ([...kinds].every((verdict) => verdict === 'accepted')) {
      if (count === 0) return;
      await this.#connection.run(appendNew(stream, tables));
      for (const rollup of stream.rollups)
        await this.#connection.run(appendRollupOfNew(stream, rollup, tables));
      return;
    }
    const changed = [...verdicts.values()].filter((verdict) => changing.has(verdict)).length;
    const taken = count - verdicts.size + changed;
    if (mode !== 'retract' && taken > 0) await this.#connection.run(appendAccepted(stream, tables));
    if (kinds.has('corrected') || kinds.has('retracted')) {
      this.#state.books(stream).hasReversals = true;
      await this.#connection.run(appendReversals(stream, tables));
    }
    if (kinds.has('duplicate')) await this.#connection.run(appendDuplicates(stream, tables));
    if (taken > 0)
      for (const rollup of stream.rollups)
        await this.#connection.run(appendRollupOfResolved(stream, rollup, tables));
  }

  /**
   * Empties temporary tables in the transaction that has filled them, so that nothing is left of their rows. Those that are
   * removed in a later one stay in a temporary table for ever, dead: after 4,000 batches of 500, memory had grown by 160 MB,
   * and each statement on the table by 7 ms.
   */
  async #empty({ stage, known, resolved, suspects }: PartTables, found: Suspects | undefined): Promise<void> {
    for (const table of found ? [stage, suspects, known, resolved] : [stage])
      await this.#connection.run(`delete from ${table}`);
  }

  async #stage(deliveries: TextDelivery[], common: Common): Promise<StagedRows> {
    const { stream, form = stream, mode } = deliveries[0]!;
    const { tables } = this.#tables.get(stream.name)!;
    const texts = deliveries.flatMap((delivery) => prepareTexts(delivery.content));
    const positions = [...texts.keys()];
    // Of a few all are read at once: any of them may be told of.
    const withIds =
      texts.length <= limits.receipt_verdicts || deliveries.some(({ allVerdicts }) => allVerdicts);
    if (mode === 'retract') {
      const ids = texts.map((text) => retractedId(stream, text) ?? null);
      const content = { ...common, positions, texts: JSON.stringify(ids), fallbacks: JSON.stringify(texts) };
      const result = await this.#connection.result(stageIdsSql(tables.stage), stagedParameters(content));
      return StagedRows.read(result, withIds);
    }
    const fallbackIds = needsFallback(stream)
      ? deliveries.flatMap((delivery) => delivery.content.fallbackIds)
      : [];
    const content = {
      positions,
      texts: texts.join(recordSeparator),
      fallbacks: JSON.stringify(fallbackIds),
      ...common,
    };
    const rows = await StagedRows.read(
      await this.#connection.result(stageTextsSql(form, tables.stage, 'first'), stagedParameters(content)),
      withIds,
    );
    if (rows.bad.size > 0) {
      await this.#lookClosely(form, rows, texts, fallbackIds, common);
      await this.#findExactly(form, rows, texts);
    }
    return rows;
  }

  async #lookClosely(
    stream: Stream,
    rows: StagedRows,
    texts: string[],
    fallbackIds: string[],
    common: Common,
  ): Promise<void> {
    const { tables, exact } = this.#tables.get(stream.name)!;
    const again = [...rows.bad].filter(([, bad]) => bad === lookClosely).map(([n]) => n);
    if (again.length === 0) return;
    const content = {
      ...common,
      positions: again,
      texts: again.map((n) => rewriteExactly(stream, texts[n]!)).join(recordSeparator),
      fallbacks: JSON.stringify(needsFallback(stream) ? again.map((n) => fallbackIds[n]) : []),
    };
    const exactRows = await StagedRows.read(
      await this.#connection.result(stageTextsSql(stream, exact, 'close'), stagedParameters(content)),
      true,
    );
    await this.#connection.run(replaceByExact(stream, tables.stage, '_n', exact));
    await this.#connection.run(`delete from ${exact}`);
    rows.replace(exactRows);
  }

  /** A reject quotes the value as it was written. */
  async #findExactly(stream: Stream, rows: StagedRows, texts: string[]): Promise<void> {
    const exactly = new Map<number, string>();
    for (const [n, bad] of rows.bad) {
      const found = foundExactly(stream, texts[n]!, bad);
      if (found === undefined || found === rows.found.get(n)) continue;
      rows.found.set(n, found);
      exactly.set(n, found);
    }
    const { tables } = this.#tables.get(stream.name)!;
    await putFound(this.#connection, tables.stage, exactly);
  }

  async #holdAgainst({ stream, mode, check, source }: Delivery, rows: StagedRows): Promise<Held[]> {
    if (mode === 'retract' || !isConcerned(check, source)) return [];
    const { tables } = this.#tables.get(stream.name)!;
    const held = await holdAgainst(this.#connection, stream, tables, check, source);
    for (const { n, id, judgement } of held)
      if ('refused' in judgement) rows.refuse(n, id, refusedText(judgement.refused));
    return held;
  }

  /** Keeps the notes that a check made on records that were taken in. */
  async note({ check, source }: Delivery, held: Held[], stamp: BatchStamp): Promise<void> {
    const texts = held.flatMap(({ judgement }) => ('note' in judgement ? [judgement.note] : []));
    if (!check || texts.length === 0) return;
    const content: Texts = { kind: 'texts', texts, fallbackIds: texts.map(() => '') };
    const { notes: stream } = check;
    await this.write(
      [{ stream, mode: 'upsert', source, reason: undefined, allVerdicts: false, content }],
      stamp,
    );
  }

  /**
   * Which hashes may be known, and where to look; undefined when every record is surely new. To take a record back
   * that is surely new is a verdict, too: so all are suspects there.
   */
  #findSuspects({ stream, mode }: Delivery, rows: StagedRows, base: bigint): Suspects | undefined {
    const { filter } = this.#state.books(stream);
    const everywhere = filter.uncovered;
    const hashes = new Set<bigint>();
    let suspected = 0;
    const ranges: SeqRange[] = [...everywhere];
    rows.eachHash((n, low, high) => {
      const found = filter.addAndFind(low, high, base + BigInt(n) * seqsPerRow);
      if (!found && everywhere.length === 0 && mode !== 'retract') return;
      hashes.add((BigInt(high) << 32n) | BigInt(low));
      if (found) ranges.push(...found);
    });
    if (hashes.size === 0) return undefined;
    rows.eachHash((_, low, high) => {
      if (hashes.has((BigInt(high) << 32n) | BigInt(low))) suspected++;
    });
    return {
      hashes: [...hashes],
      suspected,
      noRepeats: suspected === hashes.size,
      ranges: mergeRanges(ranges),
    };
  }

  /**
   * Looks at the ledger for what the filter says may be there. Undefined: it was mistaken, and every record is new. Of a
   * batch of 1,000 among 100 million entries it suspects a record or two by chance.
   */
  async #findKnown({ stream, mode }: Delivery, suspects: Suspects | undefined): Promise<Known | undefined> {
    if (!suspects) return undefined;
    const few = suspects.hashes.length <= fewSuspects;
    if (!few) await this.#listSuspects(suspects);
    const hasHash = `_hash in (${few ? suspects.hashes.join(', ') : 'select _hash from suspects'})`;
    const found: SeqRange[] = [];
    for (const range of suspects.ranges) {
      const within = await boundsWithin(this.#connection, stream, range, hasHash);
      if (within) found.push(within);
    }
    if (few) {
      if (found.length === 0 && suspects.noRepeats && mode !== 'retract') return undefined;
      await this.#listSuspects(suspects);
    }
    return { ...suspects, ranges: found, hasHash };
  }

  async #listSuspects({ hashes }: Suspects): Promise<void> {
    await this.#connection.run(
      "insert into suspects select distinct unnest(string_split($1, ','))::ubigint, true",
      hashes.join(','),
    );
  }

  /** Position and verdict of each suspect that is well-formed. */
  async #resolve(stream: Stream, mode: Mode, suspects: Known): Promise<Map<number, string>> {
    const verdicts = new Map<number, string>();
    const { tables } = this.#tables.get(stream.name)!;
    const { noRepeats, ranges, hasHash } = suspects;
    for (const { from, to } of ranges) {
      const select = knownSelect(stream, `_seq between ${from} and ${to} and ${hasHash}`);
      await this.#connection.execute(`insert into ${tables.known} ${select}`);
    }
    const select = resolvedSelect(stream, mode, tables, { noRepeats });
    const rows = await this.#connection.rows(`insert into resolved ${select} returning _n, verdict`);
    for (const [n, verdict] of rows) verdicts.set(n as number, verdict as string);
    // A defect must not become a record that is lost or counted twice: the batch is given up.
    if (rows.length !== suspects.suspected || verdicts.size !== rows.length)
      throw new Error(`${stream.name}: ${suspects.suspected} suspects, but ${rows.length} verdicts`);
    return verdicts;
  }

  async #reject(deliveries: TextDelivery[], stamp: BatchStamp, part: number, count: number): Promise<void> {
    const { stream, form = stream, mode, source } = deliveries[0]!;
    const { tables } = this.#tables.get(stream.name)!;
    const first = this.#state.reserveSeqs(rejectsStream, BigInt(count));
    const starts: number[] = [];
    const replayed: number[] = [];
    let start = 0;
    for (const { content } of deliveries) {
      starts.push(start);
      if (content.replays) for (let i = 0; i < content.texts.length; i++) replayed.push(start + i);
      start += content.texts.length;
    }
    const rejects = rejectsParameters({
      first,
      starts,
      mode,
      ...timeBounds(stream, this.#state),
      replayed,
      part,
      source,
      import: undefined,
      recordedAt: stamp.recordedAt,
    });
    await this.#connection.run(appendRejects(form, tables), ...rejects);
    stamp.rejects.push({ from: first, to: first + BigInt(count) - 1n });
  }

  #receipts(
    deliveries: TextDelivery[],
    rows: StagedRows,
    resolved: ReadonlyMap<number, string>,
    stamp: BatchStamp,
  ): Receipt[] {
    const { stream, form = stream } = deliveries[0]!;
    const bounds = timeBounds(stream, this.#state);
    let start = 0;
    return deliveries.map((delivery) => {
      const count = delivery.content.texts.length;
      const receipt: Receipt = {
        batch: stamp.batch,
        recorded_at: formatTimestamp(stamp.recordedAt),
        received: count,
        ...noCounts(),
        verdicts: [],
      };
      const most = delivery.allVerdicts ? limits.receipt_verdicts_all : limits.receipt_verdicts;
      for (let index = 0; index < count; index++) {
        const n = start + index;
        const verdict = verdictOf(
          form,
          rows.bad.get(n),
          resolved.get(n),
          () => rows.found.get(n) ?? null,
          bounds,
        );
        receipt[countOfVerdict[verdict.verdict]]++;
        if ((delivery.allVerdicts || verdict.verdict !== 'accepted') && receipt.verdicts.length < most) {
          receipt.verdicts.push({ index, id: rows.ids.get(n) ?? null, ...verdict });
        }
      }
      start += count;
      return receipt;
    });
  }

  /** Rejects that were replayed and now pass, or stand already, leave their list in this same batch. */
  async #takeBackReplayed(
    deliveries: TextDelivery[],
    stamp: BatchStamp,
    failed: (n: number) => boolean,
  ): Promise<void> {
    const ids: string[] = [];
    let start = 0;
    for (const { content } of deliveries) {
      content.replays?.forEach((id, index) => {
        if (!failed(start + index)) ids.push(id);
      });
      start += content.texts.length;
    }
    if (ids.length === 0) return;
    await this.write(
      [
        {
          stream: rejectsStream,
          mode: 'retract',
          source: deliveries[0]!.source,
          reason: 'replayed',
          allVerdicts: false,
          content: { kind: 'texts', texts: ids.map((id) => JSON.stringify(id)), fallbackIds: ids },
        },
      ],
      stamp,
    );
  }
}

/** What the table `parts` says of one. */
export interface PartLine {
  delivery: Delivery;
  part: number;
  stamp: BatchStamp;
  counts: VerdictCounts;
}

/** The counts of several receipts together. */
export function countsOf(receipts: readonly Receipt[]): VerdictCounts {
  const counts = noCounts();
  for (const key of partCounts) for (const receipt of receipts) counts[key] += receipt[key];
  return counts;
}

/** Writes the lines of parts in the table `parts`. */
export async function book(connection: Connection, lines: readonly PartLine[]): Promise<void> {
  const rows = lines.map(({ delivery: { stream, mode, source, reason, content }, part, stamp, counts }) => ({
    part,
    batch: stamp.batch,
    recorded_at: String(stamp.recordedAt),
    stream: stream.name,
    mode,
    source,
    import: content.kind === 'texts' ? null : content.import,
    reason: reason ?? null,
    ...Object.fromEntries(partCounts.map((key) => [key, counts[key]])),
  }));
  await connection.run(bookSql, JSON.stringify(rows));
}
const partCounts = ['accepted', 'duplicates', 'corrected', 'conflicts', 'rejected', 'retracted'] as const;
const lineColumns = {
  part: 'BIGINT',
  batch: 'BIGINT',
  recorded_at: 'BIGINT',
  stream: 'VARCHAR',
  mode: 'VARCHAR',
  source: 'VARCHAR',
  import: 'BIGINT',
  reason: 'VARCHAR',
  ...Object.fromEntries(partCounts.map((key) => [key, 'BIGINT'])),
};
const bookSql = `insert into parts
  select ${Object.keys(lineColumns)
    .map((column) => (column === 'recorded_at' ? 'make_timestamp(line.recorded_at)' : `line.${column}`))
    .join(', ')}
  from (select unnest(from_json($1::varchar, '[${JSON.stringify(lineColumns)}]')) as line)`;

/** Puts rows that were read exactly in the place of those that were marked. */
export function replaceByExact(stream: Stream, stage: string, n: string, exact: string): string {
  const columns = [
    '_id',
    '_hash',
    ...storedFields(stream).map((field) => quote(field.name)),
    '_bad',
    '_found',
  ];
  return `update ${stage} set ${columns.map((column) => `${column} = x.${column}`).join(', ')} from ${exact} x where ${stage}.${n} = x._n`;
}

/** So many hashes are compared one by one faster than they are looked up in a table. */
const fewSuspects = 16;

/** Of a record that changes what stands. */
const changing = new Set(['accepted', 'corrected', 'retracted']);

interface Suspects {
  /** Each once. */
  hashes: bigint[];
  /** Rows that have one of them. */
  suspected: number;
  noRepeats: boolean;
  ranges: SeqRange[];
}

/** Where their hashes are, in the ledger. */
interface Known extends Suspects {
  /** A condition on entries. */
  hasHash: string;
}

const noVerdicts: ReadonlyMap<number, string> = new Map();

/** The verdict of a row from its refusal number or what was resolved; with neither it is accepted. */
export function verdictOf(
  stream: Stream,
  bad: number | undefined,
  resolved: string | undefined,
  found: () => string | null,
  bounds: { horizon: Micros; latest: Micros },
): Omit<Verdict, 'index' | 'id'> {
  if (bad === refusedByCheck) return { verdict: 'rejected', ...(JSON.parse(found()!) as Refused) };
  if (bad !== undefined) {
    const refusal = refusalOf(stream, bad);
    const bound = formatTimestamp(refusal.code === 'too_old' ? bounds.horizon : bounds.latest);
    const value = found() ?? 'null';
    const field = refusal.code === 'unknown_field' ? value : refusal.field;
    return {
      verdict: 'rejected',
      code: refusal.code,
      ...(field === undefined ? {} : { field }),
      message: refusal.message(value, bound),
    };
  }
  if (resolved === 'conflict')
    return { verdict: 'conflict', code: 'conflict', message: recordMessages.conflict };
  if (resolved === 'not_found')
    return { verdict: 'rejected', code: 'not_found', message: recordMessages.not_found };
  return { verdict: (resolved ?? 'accepted') as VerdictName };
}

function prepareTexts(content: Texts): string[] {
  if (!content.undecodable && !content.texts.some((text) => text.includes(recordSeparator)))
    return content.texts;
  return content.texts.map((text, i) => {
    const base64 =
      content.undecodable?.get(i) ??
      (text.includes(recordSeparator) ? Buffer.from(text).toString('base64') : undefined);
    return base64 === undefined ? text : undecodableMark + base64;
  });
}
