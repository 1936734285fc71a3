/**
 * What a batch is about to write: the entries, duplicates and parts that settling its records gives, with what it has
 * read of the ledger for that. Nothing of it counts until its parts are committed.
 */
import { createHash } from 'node:crypto';
import type { Micros } from '../../engine/calendar.ts';
import { timeOf, type Values } from '../../engine/stage-record.ts';
import type { Stream } from '../../engine/stream.ts';
import { noCounts, type VerdictCounts } from '../../engine/verdicts.ts';
import type { Connection } from './connection.ts';
import type { CommitLine, LedgerState } from './ledger-state.ts';
import {
  type Cell,
  cellOf,
  duplicatesTable,
  entriesOf,
  entriesTable,
  fieldValue,
  storedFields,
  textOf,
} from './names.ts';

/** What the ledger knows of an id. */
export interface Known {
  standing: { seq: bigint; values: Values } | undefined;
  /** The last entry of the id. */
  last: bigint | undefined;
}

/** What shares stream, mode, source, import and reason. */
export interface DraftPart {
  number: bigint;
  stream: string;
  mode: string;
  source: string;
  import: number | null;
  reason: string | null;
  counts: VerdictCounts;
}

/** Ids that are looked up in one statement. */
const lookupIds = 20_000;

export class Draft {
  readonly connection: Connection;
  readonly state: LedgerState;
  readonly recordedAt: Micros;
  readonly parts = new Map<string, DraftPart>();
  readonly #streams = new Map<Stream, StreamDraft>();
  readonly #underWay: readonly bigint[];

  /** @param underWay parts that are not committed yet and belong to the same batch */
  constructor(
    connection: Connection,
    state: LedgerState,
    recordedAt: Micros,
    underWay: readonly bigint[] = [],
  ) {
    this.connection = connection;
    this.state = state;
    this.recordedAt = recordedAt;
    this.#underWay = underWay;
  }

  of(stream: Stream): StreamDraft {
    const known = this.#streams.get(stream);
    if (known) return known;
    const draft = new StreamDraft(this, stream, this.#underWay);
    this.#streams.set(stream, draft);
    return draft;
  }

  async part(of: Omit<DraftPart, 'number' | 'counts'> & { form?: string | undefined }): Promise<DraftPart> {
    const { stream, form, mode, source, import: imported, reason } = of;
    const key = JSON.stringify([stream, form, mode, source, imported, reason]);
    const known = this.parts.get(key);
    if (known) return known;
    const part: DraftPart = {
      number: await this.state.reservePart(),
      stream,
      mode,
      source,
      import: imported,
      reason,
      counts: noCounts(),
    };
    this.parts.set(key, part);
    return part;
  }

  get streams(): StreamDraft[] {
    return [...this.#streams.values()];
  }

  /** The seqs that it has used, as a commit tells them. */
  get seqs(): CommitLine[] {
    return this.streams.flatMap(({ stream, lastSeq }) =>
      lastSeq === undefined ? [] : [{ kind: 'seqs' as const, stream: stream.name, value: String(lastSeq) }],
    );
  }

  /** Writes entries and duplicates. */
  async write(): Promise<void> {
    await Promise.all(this.streams.map((draft) => draft.write()));
  }
}

export function partLine({
  number,
  stream,
  mode,
  source,
  import: imported,
  reason,
  counts,
}: DraftPart): CommitLine {
  return { kind: 'part', part: number, stream, mode, source, import: imported, reason, counts };
}

export class StreamDraft {
  readonly stream: Stream;
  readonly #draft: Draft;
  readonly #underWay: readonly bigint[];
  readonly #known = new Map<string, Known>();
  readonly #entries: Cell[][] = [];
  readonly #duplicates: Cell[][] = [];
  #lastSeq: bigint | undefined;
  /** Whether it has held any record against what stands. */
  hasMet = false;
  /** From when to when the records are of which it has written entries. */
  bounds: { from: Micros; to: Micros } | undefined;

  constructor(draft: Draft, stream: Stream, underWay: readonly bigint[]) {
    this.#draft = draft;
    this.stream = stream;
    this.#underWay = underWay;
  }

  get lastSeq(): bigint | undefined {
    return this.#lastSeq;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0 && this.#duplicates.length === 0;
  }

  /** Looks up ids, those that it does not know of yet. */
  async load(ids: Iterable<string>): Promise<void> {
    const asked = [...new Set(ids)].filter((id) => !this.#known.has(id));
    for (let from = 0; from < asked.length; from += lookupIds)
      await this.#look(asked.slice(from, from + lookupIds));
  }

  async #look(ids: string[]): Promise<void> {
    this.hasMet = true;
    const { connection, state } = this.#draft;
    const wanted = new Set(ids);
    const found = (
      await connection.rows(`select _id, _seq, _sign, _reverses from ${entriesOf(this.stream)}
        where _hash in (${ids.map(hashOf).join(', ')}) and ${state.visible(this.#underWay)}`)
    ).filter(([id]) => wanted.has(String(id)));
    const reversed = new Set(found.map(([, , , reverses]) => reverses));
    const standing = found.filter(([, seq, sign]) => Number(sign) === 1 && !reversed.has(seq!));
    for (const id of ids) this.#known.set(id, { standing: undefined, last: undefined });
    const { droppedBefore } = state.books(this.stream.name);
    // Nearly always the ids are new. Of those that are dropped, only the values tell.
    const read = await this.#read(
      (droppedBefore === undefined ? standing : found).map(([, seq]) => String(seq)),
    );
    const isDropped = (seq: string): boolean => {
      const values = read.get(seq);
      return (
        droppedBefore !== undefined &&
        values !== undefined &&
        timeOf(this.stream, { values })! < droppedBefore
      );
    };
    for (const [id, seq] of found) {
      const known = this.#known.get(String(id))!;
      if (isDropped(String(seq))) continue;
      if (known.last === undefined || BigInt(String(seq)) > known.last) known.last = BigInt(String(seq));
    }
    for (const [id, seq] of standing)
      if (!isDropped(String(seq)))
        this.#known.get(String(id))!.standing = { seq: BigInt(String(seq)), values: read.get(String(seq))! };
  }

  async #read(seqs: string[]): Promise<Map<string, Values>> {
    if (seqs.length === 0) return new Map();
    const { fields } = this.stream;
    const rows = await this.#draft.connection.rows(
      `select _e._seq, ${fields.map((field) => fieldValue(this.stream, field)).join(', ') || '0'} from ${entriesOf(this.stream)} _e
       where _e._seq in (${seqs.join(', ')}) and ${this.#draft.state.visible(this.#underWay)}`,
    );
    return new Map(
      rows.map(([seq, ...cells]) => [
        String(seq),
        new Map(fields.map((field, i) => [field.name, textOf(field, cells[i]!)])),
      ]),
    );
  }

  /** Of an id that was looked up. */
  known(id: string): Known {
    const known = this.#known.get(id) ?? { standing: undefined, last: undefined };
    this.#known.set(id, known);
    return known;
  }

  /** The seq that the next entry will have. */
  get nextSeq(): bigint {
    return this.#draft.state.books(this.stream.name).nextSeq;
  }

  append(part: DraftPart, id: string, values: Values): void {
    const seq = this.#add(part, 1, null, id, values);
    Object.assign(this.known(id), { standing: { seq, values }, last: seq });
  }

  takeBack(part: DraftPart, id: string): void {
    const known = this.known(id);
    const { seq, values } = known.standing!;
    known.standing = undefined;
    known.last = this.#add(part, -1, seq, id, values);
  }

  repeat(part: DraftPart, id: string): void {
    const { standing, last } = this.known(id);
    this.#duplicates.push([String(standing?.seq ?? last!), String(part.number)]);
  }

  #add(part: DraftPart, sign: 1 | -1, reverses: bigint | null, id: string, values: Values): bigint {
    const seq = this.#draft.state.reserveSeq(this.stream.name);
    this.#lastSeq = seq;
    this.#entries.push([
      String(seq),
      String(part.number),
      sign,
      reverses === null ? null : String(reverses),
      hashOf(id),
      id,
      ...storedFields(this.stream).map((field) => cellOf(field, values.get(field.name) ?? null)),
    ]);
    const time = timeOf(this.stream, { values }) ?? 0n;
    const { from, to } = this.bounds ?? { from: time, to: time };
    this.bounds = { from: time < from ? time : from, to: time > to ? time : to };
    return seq;
  }

  async write(): Promise<void> {
    const { connection } = this.#draft;
    const columns = ['_seq', '_part', '_sign', '_reverses', '_hash', '_id'];
    const names = storedFields(this.stream).map(({ name }) => name);
    const token = (rows: Cell[][]): string => `${rows[0]?.[1]} ${rows[0]?.[0]}`;
    await Promise.all([
      connection.insert(
        entriesTable(this.stream),
        [...columns, ...names],
        this.#entries,
        token(this.#entries),
      ),
      connection.insert(
        duplicatesTable(this.stream),
        ['_seq', '_part'],
        this.#duplicates,
        token(this.#duplicates),
      ),
    ]);
  }
}

/** The first 64 bits of the id's MD5: what ClickHouse can compute, too, to prove it. */
export function hashOf(id: string): string {
  return String(createHash('md5').update(id).digest().readBigUInt64BE(0));
}
