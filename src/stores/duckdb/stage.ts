/**
 * Staging: from the text of records to typed, checked and hashed rows, in SQL, a whole batch at a time.
 *
 * A stage table has a row a record: `_line` (the original, kept where it may be needed), `_id`, `_hash`, the
 * fields, `_bad` (null, or the number of the refusal: see casts.ts) and `_found` (the value that was refused).
 *
 * Numbers need care: DuckDB's JSON reader takes a number with a fraction or an exponent through a double, and so
 * would lose digits. Rows that hold a number for which that could matter are marked `lookClosely`, and read again
 * with their numbers as strings (exact-rows.ts). All others prove to be exact: a double gives back any decimal of
 * up to 15 digits.
 *
 * Records may come in a form of their stream (engine/forms.ts): then the functions here take the form, and its names are
 * those of the records. The columns of a stage table have the stream's.
 *
 * Records in memory are staged in two looks. The first tells only which are plainly fine, nearly always all; what is
 * not goes the way of the numbers above, and there gets its refusal. A statement that knew all refusals would take
 * twice as long for the small batches that this is about. Files are staged in one look that does.
 */
import { limits } from '../../engine/limits.ts';
import type { Stream } from '../../engine/stream.ts';
import {
  type FieldSql,
  fieldSql,
  type Look,
  lookClosely,
  type RawKind,
  recordRefusals,
  refusalNumbers,
} from './casts.ts';
import type { Parameter } from './connection.ts';
import { rowsOfList } from './lists.ts';
import { columnList, literal, quote, sqlType, storedFields } from './names.ts';

/** Row n of a part has the seqs base + 2n, for taking its record back, and base + 2n + 1, for the record. */
export const seqsPerRow = 2n;
/** Separates records in one parameter. It cannot occur in JSON text, where control characters are escaped. */
export const recordSeparator = '\u001e';
/** Stands before the base64 of a record that is no text. */
export const undecodableMark = '\u0001';

export function stageTable(stream: Stream, name: string, temporary: boolean): string {
  const fields = storedFields(stream).map((field) => `, ${quote(field.name)} ${sqlType(field)}`);
  return `create or replace ${temporary ? 'temp ' : ''}table ${name} (_n integer, _seq bigint, _part bigint, _line varchar, _id varchar, _hash ubigint${fields.join('')}, _bad smallint, _found varchar)`;
}

export const stageColumns = (stream: Stream): string =>
  `_line, _id, _hash${prefixed(columnList(storedFields(stream)))}, _bad, _found`;

const prefixed = (list: string): string => (list === '' ? '' : `, ${list}`);

/** What the two statements below take, in this order. */
export interface StagedContent {
  /** Records, joined; or for retractions a JSON array of ids, null where none could be read. */
  texts: string;
  /** A JSON array: the ids for records without; or for retractions the records as they came. */
  fallbacks: string;
  /** The place of each record. */
  positions: readonly number[];
  part: number;
  /** The first seq reserved for the part. */
  base: bigint;
  /** Microseconds: records before are too old, records after are in the future. */
  horizon: bigint;
  latest: bigint;
}

export function stagedParameters(content: StagedContent): Parameter[] {
  return [
    content.texts,
    content.fallbacks,
    content.part,
    content.positions.join(','),
    content.base,
    content.horizon,
    content.latest,
  ];
}

/**
 * Reading no table, a statement keeps its plan in spite of its parameters (see connection.ts). What there is one of for each
 * record comes as a text to be split.
 */
const stagedContent = `(select $1::varchar as texts, $2::varchar as fallbacks, $3::bigint as part, $4::varchar as positions,
      $5::bigint as base, $6::bigint as horizon, $7::bigint as latest)`;

/** Stages texts; those rewritten by exact-rows.ts with a look that is `close`. */
export function stageTextsSql(stream: Stream, table: string, look: 'first' | 'close'): string {
  const fallback = needsFallback(stream) ? rowsOfList('fallbacks', 'varchar') : 'null::varchar';
  const lines = `select unnest(string_split(texts, ${literal(recordSeparator)})) as line, ${fallback} as fallback, unnest(string_split(positions, ','))::integer as n, part, base, horizon, latest from ${stagedContent}`;
  return `insert into ${table} (_n, _seq, _part, ${stageColumns(stream)})
    ${judgedSelect(stream, readJson(stream, lines), 'json', look, `n, base + ${seqsPerRow} * n + 1, part, `, true)}
    returning _n, _hash, _bad, _found, _id`;
}

/** Stages ids to take back. */
export function stageIdsSql(table: string): string {
  return `insert into ${table} (_n, _seq, _part, _line, _id, _hash, _bad)
    with ids as (
      select ${rowsOfList('texts', 'varchar')} as id, ${rowsOfList('fallbacks', 'varchar')} as line,
        unnest(string_split(positions, ','))::integer as n, part, base
      from ${stagedContent})
    select n, base + ${seqsPerRow} * n + 1, part, line, id, hash(id), case when id is null then ${recordRefusals.unreadable} end from ids
    returning _n, _hash, _bad, _found, _id`;
}

export function needsFallback(stream: Stream): boolean {
  return !stream.id?.required;
}

/** From lines (line, fallback, n, horizon, latest) to one column of JSON text a field. */
function readJson(stream: Stream, lines: string): string {
  const structure = JSON.stringify(Object.fromEntries(stream.named.map((field) => [field.name, 'JSON'])));
  const raws = stream.fields.map(
    (field, i) => `${stream.named.includes(field) ? `j.${quote(field.name)}` : 'null::json'} as r${i}`,
  );
  return `lines as (${lines}),
    parsed as (
      select *,
        case when strlen(line) <= ${limits.record_bytes} and json_valid(line) and (starts_with(line, '{') or json_type(line) = 'OBJECT')
          then json_transform(line, ${literal(structure)}) end as j
      from lines),
    raws as (
      select *, j is null as unreadable, case when j is not null then json_keys(line) end as names, ${raws.join(', ')}
      from parsed)`;
}

/**
 * Stages the rows of a file, as a table of its own; with the originals of all rows where any of them may yet be refused. `source` gives the columns fallback, n, horizon, latest, and
 * line (for JSON) or r0, r1 … (for cells). Horizon and latest are in microseconds: records before are too old,
 * records after are in the future.
 */
export function stageFileSql(
  stream: Stream,
  table: string,
  source: { kind: RawKind; select: string },
  keepLines: boolean,
): string {
  const input =
    source.kind === 'json'
      ? readJson(stream, source.select)
      : `raws as (select null::varchar as line, fallback, n, horizon, latest, false as unreadable, null::varchar[] as names, ${stream.fields.map((_, i) => `r${i}`).join(', ')} from (${source.select}))`;
  return `create table ${table} (${fileStageColumns(stream)});
    insert into ${table} ${judgedSelect(stream, input, source.kind, 'whole', '', keepLines)}`;
}

/**
 * What is read two or three times and then dropped is not worth compressing: on disk that took twice as long. Texts of
 * few values numbered (an enum) were grouped 0.1 s faster of 1.4, and cast to it and back in as much.
 */
function fileStageColumns(stream: Stream): string {
  const text = 'varchar using compression uncompressed';
  const fields = storedFields(stream).map((field) => {
    const type = sqlType(field);
    return `, ${quote(field.name)} ${type === 'varchar' ? text : type}`;
  });
  return `_line ${text}, _id ${text}, _hash ubigint${fields.join('')}, _bad smallint, _found ${text}`;
}

function judgedSelect(
  stream: Stream,
  input: string,
  kind: RawKind,
  look: Look,
  leading: string,
  keepLines: boolean,
): string {
  const fields = stream.fields.map((_, i) =>
    fieldSql(stream, i, kind, look, { raw: `r${i}`, text: `t${i}`, cast: `c${i}`, value: `v${i}` }),
  );
  const idIndex = stream.id ? stream.fields.indexOf(stream.id) : -1;
  const timeIndex = stream.time ? stream.fields.indexOf(stream.time) : -1;
  const id =
    idIndex < 0
      ? 'fallback'
      : stream.id!.required
        ? `v${idIndex}::varchar`
        : `coalesce(v${idIndex}, fallback)`;
  const columns = (stream.of ?? stream).fields;
  const stored = storedFields(stream).map((field) => `v${columns.indexOf(field)} as ${quote(field.name)}`);
  const original =
    kind === 'json'
      ? 'line'
      : `to_json(struct_pack(${stream.named.map((f) => `${quote(f.name)} := r${stream.fields.indexOf(f)}`).join(', ')}))::varchar`;
  return `
    with ${input},
    texts as (select *, ${fields.map((f, i) => `${f.text} as t${i}`).join(', ')} from raws),
    casts as (select *${fields.map((f, i) => (f.cast === undefined ? '' : `, ${f.cast} as c${i}`)).join('')} from texts),
    typed as (select *, ${fields.map((f, i) => `${f.value} as v${i}`).join(', ')} from casts),
    judged as (select *, ${look === 'first' ? firstLook(stream, fields) : refusal(stream, fields, kind, look)} as bad from typed),
    timed as (select *, ${timeIndex < 0 || look === 'first' ? 'bad' : lateness(`v${timeIndex}`)} as bad2 from judged)
    select ${leading}
      ${keepLines ? original : `case when bad2 is not null then ${original} end`} as _line,
      ${id} as _id, hash(${id}) as _hash${stored.length > 0 ? `, ${stored.join(', ')}` : ''},
      bad2::smallint as _bad,
      ${look === 'first' ? 'null::varchar' : `case when bad2 is not null then ${found(stream, timeIndex)} end`} as _found
    from timed`;
}

/** The first look at a record: null where it is plainly fine. */
function firstLook(stream: Stream, fields: FieldSql[]): string {
  const conditions = fields.map((f) => f.fine);
  if (stream.time) {
    const time = `v${stream.fields.indexOf(stream.time)}`;
    conditions.push(`${time} >= make_timestamp(horizon)`, `${time} <= make_timestamp(latest)`);
  }
  return `case
      when not unreadable and not (${moreNames(stream)})
        and not (case when ${mayBeHarmed(stream)} then regexp_matches(line, ${literal(harmedPattern(stream))}) else false end)
        and ${conditions.join(' and ')} then null
      else ${lookClosely} end`;
}

/** Whether a JSON record names more fields than those that are declared and not null. */
function moreNames(stream: Stream): string {
  return `len(names) > ${stream.fields.map((_, i) => `(r${i} is not null)::integer`).join(' + ')}`;
}

/** The first refusal of a row, in the order of precedence of engine/verdicts.ts; time bounds come after. */
function refusal(stream: Stream, fields: FieldSql[], kind: RawKind, look: Look): string {
  const fine = fields.map((f) => f.fine).join(' and ');
  const byFields = `coalesce(${fields.map((f) => f.refusal).join(', ')}, null)`;
  if (kind === 'cell') return `case when ${fine} then null else ${byFields} end`;
  const more = moreNames(stream);
  const harmed = `regexp_matches(line, ${literal(harmedPattern(stream))})`;
  const again = `regexp_matches(line, ${literal(`${harmedPattern(stream)}|${quotedExponent}`)})`;
  return `case
      when unreadable then ${recordRefusals.unreadable}
      ${look === 'close' ? '' : `when case when ${mayBeHarmed(stream)} then ${harmed} else false end then ${lookClosely}`}
      when ${more} and len(list_distinct(names)) < len(names) then ${recordRefusals.repeated_field}
      when ${more} and ${unknownNames(stream)} <> [] then ${recordRefusals.unknown_field}
      when ${fine} then null
      ${look === 'close' ? '' : `when ${again} then ${lookClosely}`}
      else ${byFields} end`;
}

function unknownNames(stream: Stream): string {
  return `list_filter(names, lambda name: name not in (${stream.named.map((f) => literal(f.name)).join(', ')}))`;
}

/**
 * Which rows to read again, exactly. First a cheap look: a number of a numeric field with a fraction, not in a string
 * (one with an exponent has one now, or has no value yet); a comma before a closing bracket, which DuckDB's reader lets pass. Records with a json
 * field are all looked at closely, since their numbers may stand anywhere.
 */
function mayBeHarmed(stream: Stream): string {
  if (stream.fields.some((field) => field.type === 'json')) return 'true';
  const numbers = stream.fields.flatMap((field, i) =>
    field.type === 'integer' || field.type === 'decimal'
      ? [`coalesce(contains(r${i}, '.') and not starts_with(r${i}, '"'), false)`]
      : [],
  );
  return [...numbers, "contains(line, ',}')", "contains(line, ', }')", "contains(line, ',]')"].join(' or ');
}

/**
 * What DuckDB's reader may get wrong, as a pattern on the whole line: a number of 17 digits and points, or one with an
 * exponent, NaN and Infinity, a comma before a closing bracket; and where json values keep their text, a fraction that
 * ends in 0, and -0.
 */
function harmedPattern(stream: Stream): string {
  const always = [
    '[:,\\[]\\s*-?[0-9.]{17}',
    '[:,\\[]\\s*-?[0-9]+(\\.[0-9]+)?[eE]',
    '[:,\\[]\\s*-?([Nn][aA]|[Ii][nN])',
    ',\\s*[}\\]]',
  ];
  const json = ['\\.[0-9]+0\\s*[,}\\]]', '[:,\\[]\\s*-0\\s*[,}\\]]'];
  return (stream.fields.some((field) => field.type === 'json') ? [...always, ...json] : always).join('|');
}

/** A number that came as a string: what begins so may be an id of hexadecimal digits, too, and is no reason to look twice. */
const quotedExponent = '[:,\\[]\\s*"-?[0-9]+(\\.[0-9]+)?[eE]';

function lateness(value: string): string {
  return `case when bad is not null then bad
      when ${value} < make_timestamp(horizon) then ${recordRefusals.too_old}
      when ${value} > make_timestamp(latest) then ${recordRefusals.in_future} end`;
}

/** The value that was refused, as it was written; for a time out of bounds, the instant. */
function found(stream: Stream, timeIndex: number): string {
  const cut = (text: string) => `left(${text}, ${limits.found_characters})`;
  const perField = stream.fields.map((_, i) => {
    const numbers = refusalNumbers(stream);
    const [first, last] = [numbers[6 * i + recordRefusalCount]!, numbers[6 * i + recordRefusalCount + 5]!];
    return `when bad2 between ${first} and ${last} then ${cut(`r${i}::varchar`)}`;
  });
  const time =
    timeIndex < 0
      ? ''
      : `when bad2 in (${recordRefusals.too_old}, ${recordRefusals.in_future}) then strftime(v${timeIndex}::timestamp, '%Y-%m-%dT%H:%M:%S.%fZ')`;
  return `case
      when bad2 = ${recordRefusals.repeated_field} then list_extract(list_filter(names, lambda name: len(list_filter(names, lambda other: other = name)) > 1), 1)
      when bad2 = ${recordRefusals.unknown_field} then ${cut(`list_extract(${unknownNames(stream)}, 1)`)}
      ${time} ${perField.join(' ')} end`;
}

const recordRefusalCount = Object.keys(recordRefusals).length;
