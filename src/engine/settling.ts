/**
 * What stores that settle records one by one have in common: a delivery's rows, staged and held against its check, and
 * what is told of them. What becomes of a record by its id is the store's.
 */
import { rejectsStream } from './built-in-streams.ts';
import { formatTimestamp, type Micros } from './calendar.ts';
import { TallybookError } from './errors.ts';
import { matchesWhole } from './field-types.ts';
import { limits } from './limits.ts';
import type { Refused } from './record-check.ts';
import type { Row } from './rows.ts';
import {
  type Bounds,
  judge,
  type Refusal,
  type Staged,
  stageRecord,
  stageRetraction,
  type Values,
} from './stage-record.ts';
import type { Delivery, Mode } from './store.ts';
import type { Stream } from './stream.ts';
import { type Receipt, type RejectCode, recordMessages, type Verdict, type VerdictName } from './verdicts.ts';
import { type Warning, type Watched, warningsFrom, watchedOf } from './warnings.ts';

export interface StagedRow {
  row: Row;
  staged: Staged;
  /** What the check noted of it; it counts where the record is taken in. */
  note: string | undefined;
}

/** What becomes of a record by its id. */
export interface Meeting {
  verdict: VerdictName;
  refusal?: Refusal;
}

/** Throws `superseded` when a delivery that must be new was not: before the commit. */
export function refuseUnlessNew(
  { mustBeNew, stream }: Delivery,
  { received, accepted }: Pick<Receipt, 'received' | 'accepted'>,
): void {
  if (!mustBeNew || accepted === received) return;
  throw new TallybookError(
    'superseded',
    `of ${stream.name}, ${received - accepted} of ${received} records were not new, which all had to be; nothing of this batch was kept`,
  );
}

/**
 * The deliveries of one call, grouped by stream, form, mode, source and reason, in order of first appearance: they are
 * concurrent requests, so any order between them is a right one, and this is the order of every store.
 */
export function groupsOf<T extends Delivery>(deliveries: readonly T[]): T[][] {
  const groups = new Map<string, T[]>();
  for (const delivery of deliveries) {
    const { stream, form, mode, source, reason } = delivery;
    const key = JSON.stringify([stream.name, form?.form, mode, source, reason]);
    const group = groups.get(key);
    if (group) group.push(delivery);
    else groups.set(key, [delivery]);
  }
  return [...groups.values()];
}

export function stageRows(delivery: Delivery, rows: readonly Row[], bounds: Bounds): StagedRow[] {
  const { stream, form = stream, mode } = delivery;
  const staged = rows.map((row) =>
    mode === 'retract' ? stageRetraction(stream, row) : stageRecord(form, row, bounds),
  );
  const judgements = judge(delivery, staged);
  return staged.map((fine, index): StagedRow => {
    const judgement = judgements.get(index);
    const refused = judgement && 'refused' in judgement ? refusedByCheck(fine, judgement.refused) : undefined;
    const note = judgement && 'note' in judgement ? judgement.note : undefined;
    return { row: rows[index]!, staged: refused ?? fine, note };
  });
}

function refusedByCheck({ id }: Staged, { code, field, message }: Refused): Staged {
  return { id, checked: { refusal: { code, field, message } } };
}

/** What keeps the notes of a check, in the same commit. */
export function notesDelivery({ check, source, content }: Delivery, notes: string[]): Delivery {
  const texts = content.kind === 'texts' ? notes : notes.slice(0, limits.file_notes);
  return {
    stream: check!.notes,
    mode: 'upsert',
    source,
    reason: undefined,
    content: { kind: 'texts', texts, fallbackIds: texts.map(() => '') },
    allVerdicts: false,
  };
}

/** Counts what the fields of a stream or form warn of, over the well-formed records of a file. */
export class WarningCounts {
  readonly #stream: Stream;
  readonly #watched: Watched[];
  readonly #counts: number[];

  constructor(stream: Stream) {
    this.#stream = stream;
    this.#watched = watchedOf(stream);
    this.#counts = this.#watched.map(() => 0);
  }

  add(values: Values): void {
    for (const [index, watched] of this.#watched.entries())
      if (this.#meets(watched, values)) this.#counts[index]! += 1;
  }

  #meets({ field, code, pattern }: Watched, values: Values): boolean {
    const { fields, of } = this.#stream;
    const value = values.get((of ?? this.#stream).fields[fields.indexOf(field)]!.name) ?? null;
    return code === 'missing' ? value === null : value !== null && !matchesWhole(pattern, value);
  }

  /** Only where there are some. */
  get found(): { warnings?: Warning[] } {
    const warnings = warningsFrom(this.#watched, this.#counts);
    return warnings.length > 0 ? { warnings } : {};
  }
}

/**
 * The seventh rule of precedence (engine/verdicts.ts): what becomes of a well-formed record by what stands under its id.
 * @param wasKnown whether anything has ever stood there
 */
export function meet(
  stream: Stream,
  mode: Mode,
  values: Values,
  standing: Values | undefined,
  wasKnown: () => boolean,
): Meeting {
  if (mode === 'retract') {
    if (standing) return { verdict: 'retracted' };
    return wasKnown() ? { verdict: 'duplicate' } : refused('rejected', 'not_found');
  }
  if (!standing) return { verdict: 'accepted' };
  if (sameContent(stream, standing, values)) return { verdict: 'duplicate' };
  return mode === 'insert' ? refused('conflict', 'conflict') : { verdict: 'corrected' };
}

function refused(verdict: VerdictName, code: 'conflict' | 'not_found'): Meeting {
  return { verdict, refusal: { code: code as RejectCode, field: undefined, message: recordMessages[code] } };
}

function sameContent({ fields }: Stream, a: Values, b: Values): boolean {
  return fields.every(({ name }) => (a.get(name) ?? null) === (b.get(name) ?? null));
}

export function verdictOf(index: number, { id }: Staged, { verdict, refusal }: Meeting): Verdict {
  if (!refusal) return { index, id, verdict };
  const { code, field, message } = refusal;
  return { index, id, verdict, code, ...(field === undefined ? {} : { field }), message };
}

/** The values of a reject (built-in-streams.ts). */
export function rejectValues(reject: {
  id: string;
  at: Micros;
  delivery: Delivery;
  import: number | null;
  row: Row;
  index: number;
  recordId: string | null;
  refusal: Refusal;
}): Values {
  const { delivery, row, refusal } = reject;
  const values = [
    reject.id,
    formatTimestamp(reject.at),
    delivery.stream.name,
    delivery.source,
    reject.import === null ? null : String(reject.import),
    delivery.mode,
    refusal.code,
    refusal.field ?? null,
    refusal.message,
    reject.recordId,
    String(reject.index),
    row.original,
    row.encoding,
    delivery.form?.form ?? null,
  ];
  return new Map(rejectsStream.fields.map(({ name }, i) => [name, values[i]!]));
}
