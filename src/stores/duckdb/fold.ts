/**
 * Folding in: what was checked, settled and journaled before is appended to the database. Nothing is parsed, cast or compared
 * again: the canonical texts of the values come as they are, a JSON list for each column.
 *
 * 1,400 records are in a temporary table after 2.8 ms so, 0.6 of them in JavaScript. The driver's appender took 2.9, 2.2 of
 * them in JavaScript, which is the busier half; texts that are joined and split took 1.8, but what separates them may stand in
 * a value. To run the statements after that in one call (`execute a; execute b`) gained nothing that could be measured.
 */
import { groupsOf } from '../../engine/settling.ts';
import type { Values } from '../../engine/stage-record.ts';
import type { Stream } from '../../engine/stream.ts';
import { countOfVerdict, noCounts } from '../../engine/verdicts.ts';
import { rollupSums } from './append.ts';
import type { Connection, Parameter } from './connection.ts';
import type { JournaledBatch, SettledRecord } from './journaled-batch.ts';
import type { BatchStamp, LedgerState } from './ledger-state.ts';
import { listOfNumbers, rowsOfList } from './lists.ts';
import { duplicatesOf, entriesOf, entryColumns, quote, sqlType, storedFields } from './names.ts';
import { book, type PartLine } from './part.ts';
import { intoRollup } from './schema.ts';
import { seqsPerRow } from './stage.ts';

/** A record and the part that it belongs to. */
interface RecordOfPart {
  part: number;
  record: SettledRecord;
}

interface NewEntry {
  seq: bigint;
  part: number;
  sign: 1 | -1;
  reverses: bigint | null;
  hash: bigint;
  id: string;
  values: Values;
}

/** Folds runs in over one connection, whose temporary tables it keeps. */
export class FoldWriter {
  readonly #connection: Connection;
  readonly #state: LedgerState;
  readonly #prepared = new Map<string, Stream>();

  constructor(connection: Connection, state: LedgerState) {
    this.#connection = connection;
    this.#state = state;
  }

  /** Makes the temporary tables of the streams; not inside a transaction. Repeated when a stream has changed. */
  async prepare(streams: Iterable<Stream>): Promise<void> {
    for (const stream of streams) {
      if (this.#prepared.get(stream.name) === stream) continue;
      await this.#connection.execute(
        `create or replace temp table ${tableOf(stream)} as select ${entryColumns(stream)} from ${entriesOf(stream)} limit 0`,
      );
      this.#prepared.set(stream.name, stream);
    }
  }

  /**
   * Appends what has become of batches whose records are all settled. The caller holds a transaction, which must not be
   * committed when this throws.
   */
  async write(batches: readonly JournaledBatch[], stamps: readonly BatchStamp[]): Promise<void> {
    const lines: PartLine[] = [];
    // In order of arrival, whatever they are: corrections follow what they correct.
    const byStream = new Map<Stream, RecordOfPart[]>();
    for (const [i, { deliveries }] of batches.entries()) {
      for (const group of groupsOf(deliveries.filter(({ settled }) => settled!.length > 0))) {
        const { stream } = group[0]!;
        const part = this.#state.reservePart();
        const counts = noCounts();
        const records = byStream.get(stream) ?? [];
        byStream.set(stream, records);
        for (const { settled } of group) {
          for (const record of settled!) {
            counts[countOfVerdict[record.verdict]]++;
            records.push({ part, record });
          }
        }
        stamps[i]!.parts.push({ stream, part });
        lines.push({ delivery: group[0]!, part, stamp: stamps[i]!, counts });
      }
    }
    for (const [stream, records] of byStream) await this.#append(stream, records);
    await book(this.#connection, lines);
  }

  async #append(stream: Stream, records: readonly RecordOfPart[]): Promise<void> {
    const books = this.#state.books(stream);
    let seq = this.#state.reserveSeqs(stream, BigInt(records.length) * seqsPerRow);
    const entries: NewEntry[] = [];
    const duplicates: { seq: bigint; part: number }[] = [];
    let hasReversals = false;
    for (const { part, record } of records) {
      const { id, hash, verdict, stood, stands } = record;
      if (verdict === 'duplicate') duplicates.push({ seq: seqOf(record), part });
      else books.filter.add(hash, seq);
      if (verdict === 'corrected' || verdict === 'retracted') {
        hasReversals = true;
        const reverses = seqOf(record);
        entries.push({ seq, part, sign: -1, reverses, hash, id, values: stood!.values! });
      }
      if (verdict === 'accepted' || verdict === 'corrected') {
        stands.seq = seq + 1n;
        entries.push({ seq: seq + 1n, part, sign: 1, reverses: null, hash, id, values: stands.values! });
      }
      seq += seqsPerRow;
    }
    if (hasReversals) books.hasReversals = true;
    if (entries.length > 0) {
      const table = tableOf(stream);
      const columns = entryColumns(stream);
      await this.#connection.run(listsSql(stream), ...lists(stream, entries));
      await this.#connection.run(
        `insert into ${entriesOf(stream)} (${columns}) select ${columns} from ${table}`,
      );
      for (const rollup of stream.rollups) {
        const sums = rollupSums(stream, rollup, table, '', 'false', hasReversals);
        await this.#connection.run(`${intoRollup(stream, rollup)} ${sums}`);
      }
      // In this transaction: see PartWriter.
      await this.#connection.run(`delete from ${table}`);
    }
    if (duplicates.length > 0)
      await this.#connection.run(
        `insert into ${duplicatesOf(stream)} (_seq, _part) select ${rowsOfList('$1', 'bigint')}, ${rowsOfList('$2', 'bigint')}`,
        listOfNumbers(duplicates, ({ seq }) => seq),
        listOfNumbers(duplicates, ({ part }) => part),
      );
  }
}

/** Of the entry of what stood before. */
function seqOf({ stood }: SettledRecord): bigint {
  if (stood?.seq === undefined) throw new Error('a record meets one that is not in the ledger');
  return stood.seq;
}

const tableOf = (stream: Stream): string => quote(`fold_${stream.name}`);

/** Reading no table, the statement keeps its plan in spite of its parameters (see connection.ts). */
function listsSql(stream: Stream): string {
  const fixed = ['bigint', 'bigint', 'tinyint', 'bigint', 'ubigint', 'varchar'];
  const fields = storedFields(stream).map(
    (field, i) => `${rowsOfList(`$${fixed.length + i + 1}`, 'varchar')}::${sqlType(field)}`,
  );
  const columns = [...fixed.map((type, i) => rowsOfList(`$${i + 1}`, type)), ...fields];
  return `insert into ${tableOf(stream)} select ${columns.join(', ')}`;
}

function lists(stream: Stream, entries: readonly NewEntry[]): Parameter[] {
  return [
    listOfNumbers(entries, ({ seq }) => seq),
    listOfNumbers(entries, ({ part }) => part),
    listOfNumbers(entries, ({ sign }) => sign),
    listOfNumbers(entries, ({ reverses }) => reverses),
    listOfNumbers(entries, ({ hash }) => hash),
    JSON.stringify(entries.map(({ id }) => id)),
    ...storedFields(stream).map(({ name }) =>
      JSON.stringify(entries.map(({ values }) => values.get(name) ?? null)),
    ),
  ];
}
