/**
 * From rows to checked records, in the order of precedence of `engine/verdicts.ts`: can the row be read, does it
 * name a field twice, a field that is not declared, do its values fit, is it too old or too far ahead.
 * What comes by a record's id is decided when it is published.
 */
import { formatTimestamp, type Micros } from './calendar.ts';
import {
  checkValue,
  type Field,
  microsOf,
  type RawValue,
  refusalMessage,
  type ValueCode,
} from './field-types.ts';
import { limits } from './limits.ts';
import { isConcerned, type Judgement } from './record-check.ts';
import type { Row } from './rows.ts';
import type { Delivery } from './store.ts';
import type { Stream } from './stream.ts';
import { type RejectCode, recordMessages } from './verdicts.ts';

/** The canonical texts of a record, by the names of its fields. */
export type Values = ReadonlyMap<string, string | null>;

/** A record's own time; undefined in a stream that declares none. */
export function timeOf(stream: Stream, record: { values: Values }): Micros | undefined {
  return stream.time && microsOf(stream.time, record.values.get(stream.time.name)!);
}

export interface Refusal {
  code: RejectCode;
  field: string | undefined;
  message: string;
}

export interface Staged {
  /** As sent or as given to it; null where none could be read. */
  id: string | null;
  checked: { values: Values } | { refusal: Refusal };
}

/** What the clock and retention say of a record's time. */
export interface Bounds {
  /** Records before it are too old. */
  horizon: Micros | undefined;
  /** Records after it lie in the future. */
  latest: Micros | undefined;
}

export function boundsOf(stream: Stream, now: Micros, droppedBefore: Micros | undefined): Bounds {
  const horizons = [droppedBefore, stream.retention === undefined ? undefined : now - stream.retention];
  const known = horizons.filter((horizon) => horizon !== undefined).sort((a, b) => (a < b ? -1 : 1));
  return {
    horizon: known.at(-1),
    latest: stream.futureTolerance === undefined ? undefined : now + stream.futureTolerance,
  };
}

/** @param stream the form in which the record comes, or the stream itself; the values have the names of the stream */
export function stageRecord(stream: Stream, row: Row, bounds: Bounds): Staged {
  const id = idOf(stream, row);
  const refuse = (refusal: Refusal): Staged => ({ id, checked: { refusal } });
  const { members, repeated } = row;
  if (!members || repeated !== undefined) return refuse(unreadable(row));
  for (const name of members.keys()) {
    if (!stream.field(name)) {
      return refuse(
        unknownField(
          name,
          stream.named.map((field) => field.name),
        ),
      );
    }
  }
  const fields = (stream.of ?? stream).fields;
  const values = new Map<string, string | null>();
  for (const [index, field] of stream.fields.entries()) {
    // A field that a form fixes is not to be named.
    const raw = stream.field(field.name) === field ? members.get(field.name) : undefined;
    const madeUp = field === stream.id && !field.required && isMissing(raw);
    const checked = madeUp ? { value: row.fallbackId } : checkValue(field, raw);
    if ('code' in checked) return refuse(valueRefusal(field, checked.code, raw));
    values.set(fields[index]!.name, checked.value);
  }
  const untimely = untimelyRecord(stream, values, bounds);
  return untimely ? refuse(untimely) : { id, checked: { values } };
}

/**
 * A record to take back: only its id counts. It comes alone, as a JSON string or number, or in an object, under
 * the stream's own name for it or as `id`; what else the object holds does not matter.
 */
export function stageRetraction(stream: Stream, row: Row): Staged {
  const raw = row.members?.get(stream.id?.name ?? 'id') ?? row.members?.get('id');
  const text = isMissing(raw) ? undefined : scalarText(raw!);
  const field: Field = stream.id && stream.id.type !== 'text' ? stream.id : { name: 'id', type: 'text' };
  const checked = text === undefined ? undefined : checkValue(field, { kind: 'cell', text });
  const id = checked && 'value' in checked ? checked.value : null;
  return { id, checked: id === null ? { refusal: unreadable(row) } : { values: new Map() } };
}

/** What the check of a delivery says of the records that are fine otherwise, by position. */
export function judge(
  { check, mode, source, stream }: Delivery,
  rows: readonly Staged[],
): Map<number, Judgement> {
  if (mode === 'retract' || !isConcerned(check, source)) return new Map();
  const kinds = check.concernedWith(source)?.map((kind) => JSON.stringify(kind));
  const judged = rows.flatMap(({ id, checked }, index) => {
    if ('refusal' in checked) return [];
    const textOf = (name: string) => checked.values.get(stream.field(name)!.name) ?? null;
    const kind = check.kind.map(textOf) as string[];
    if (kinds && !kinds.includes(JSON.stringify(kind))) return [];
    return [{ index, record: { id: id!, kind, values: check.fields.map(textOf) } }];
  });
  const judgements = check.judge(
    judged.map(({ record }) => record),
    source,
  );
  return new Map(judged.map(({ index }, i) => [index, judgements[i]]));
}

function unreadable({ repeated, fault }: Row): Refusal {
  const refuse = (message: string): Refusal => ({ code: 'unreadable', field: undefined, message });
  if (repeated !== undefined) return refuse(recordMessages.repeated_field(cut(repeated)));
  return refuse(fault === undefined ? recordMessages.unreadable : recordMessages.unreadable_row(fault));
}

function unknownField(name: string, declared: string[]): Refusal {
  return {
    code: 'unknown_field',
    field: cut(name),
    message: recordMessages.unknown_field(cut(name), declared),
  };
}

function valueRefusal(field: Field, code: ValueCode, raw: RawValue | undefined): Refusal {
  const found = raw && cut(raw.text);
  return { code, field: field.name, message: refusalMessage(field, code, found) };
}

/** A value that was found, as far as it is quoted. */
function cut(found: string): string {
  return [...found].slice(0, limits.found_characters).join('');
}

function untimelyRecord(stream: Stream, values: Values, { horizon, latest }: Bounds): Refusal | undefined {
  if (horizon === undefined && latest === undefined) return undefined;
  const time = timeOf(stream.of ?? stream, { values });
  if (time === undefined) return undefined;
  const shown = formatTimestamp(time);
  const field = stream.time!.name;
  if (horizon !== undefined && time < horizon) {
    return { code: 'too_old', field, message: recordMessages.too_old(shown, formatTimestamp(horizon)) };
  }
  if (latest !== undefined && time > latest) {
    return { code: 'in_future', field, message: recordMessages.in_future(shown, formatTimestamp(latest)) };
  }
  return undefined;
}

/** The id as sent, in its canonical text; the one given to the record when it brings none; null when it must bring one. */
function idOf(stream: Stream, { members, repeated, fallbackId }: Row): string | null {
  if (!stream.id) return fallbackId;
  if (repeated === stream.id.name) return null;
  const raw = members?.get(stream.id.name);
  if (isMissing(raw)) return stream.id.required ? null : fallbackId;
  if (stream.id.type === 'text')
    return raw!.kind === 'json' && !raw!.text.startsWith('"') ? null : scalarText(raw!)!;
  const checked = checkValue({ name: stream.id.name, type: stream.id.type } as Field, raw);
  return 'code' in checked ? null : checked.value;
}

function isMissing(raw: RawValue | undefined): boolean {
  return raw === undefined || (raw.kind === 'json' && raw.text === 'null');
}

/** The text of a JSON string, of a JSON number or of a cell. */
function scalarText(raw: RawValue): string | undefined {
  if (raw.kind === 'cell') return raw.text;
  if (raw.text.startsWith('"')) return JSON.parse(raw.text) as string;
  return /^[-0-9]/.test(raw.text) ? raw.text : undefined;
}
