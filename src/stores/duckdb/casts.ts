/**
 * From a field's declaration to the SQL that checks and casts it: the twin of `engine/field-types.ts`, for
 * millions of rows at a time.
 *
 * DuckDB's `try_cast` alone is too lenient: '5.7' as bigint gives 6, '1.005' as decimal(18, 2) gives 1.01,
 * '0x10' gives 16, '1_000' gives 1000, blanks are trimmed, the offset of a timestamp is dropped, a seventh
 * digit of a second too. So a cast counts only when the text is the canonical text of its value, which proves that
 * nothing was lost, or else when it matches the grammar of its type. On two cores the cast takes 10 to 25 ns a value,
 * the comparison with the canonical text 15 to 30, a match with a constant pattern 35 to 75; and a pattern is compiled
 * anew for every run of a statement, which is what small batches would spend their time on.
 */
import { dateGrammar, timestampGrammar } from '../../engine/calendar.ts';
import { numberGrammar } from '../../engine/decimal.ts';
import {
  checkValue,
  type Field,
  refusalMessage,
  stringTypes,
  textMax,
  uuidGrammar,
  type ValueCode,
} from '../../engine/field-types.ts';
import { limits } from '../../engine/limits.ts';
import type { Stream } from '../../engine/stream.ts';
import { type RejectCode, recordMessages } from '../../engine/verdicts.ts';
import { literal, sqlType } from './names.ts';

/** What a connection that stages must know. */
export const stagingMacros = [
  `create or replace temp macro normal_code(t) as
    case when contains(t, '-') or upper(t) <> t
      then translate(t, 'abcdefghijklmnopqrstuvwxyz-', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') else t end`,
  // '-12.50e1' -> '-125': the plain form of a number that matches the number grammar. Used for cells of files only; in
  // memory, records with an exponent go to the exact reader (see stage.ts). A macro is put in wherever its argument
  // stands: so its steps are handed on as parameters of lambdas, each planned once. Written as macros within macros, each
  // number had 84 patterns, and every file began with 0.6 s of planning.
  `create or replace temp macro point_moved(digits, point) as
    case
      when point <= 0 then '0.' || repeat('0', (-point)::bigint) || digits
      when point >= length(digits) then digits || repeat('0', (point - length(digits))::bigint)
      else left(digits, point::bigint) || '.' || substr(digits, (point + 1)::bigint)
    end`,
  String.raw`create or replace temp macro trimmed_number(sign, t) as
    case
      when regexp_full_match(t, '[0.]*') then '0'
      else sign || case
        when contains(t, '.') then regexp_replace(rtrim(rtrim(t, '0'), '.'), '^0+([0-9])', '\1')
        else ltrim(t, '0')
      end
    end`,
  String.raw`create or replace temp macro plain_number(t) as list_extract(list_transform(list_transform(list_transform(
    [regexp_extract(t, '^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?$', ['sign', 'whole', 'fraction', 'exponent'])],
    lambda parts: {
      'sign': parts.sign,
      'digits': parts.whole || parts.fraction,
      'point': length(parts.whole) + coalesce(try_cast(parts.exponent as integer), 0)
    }),
    lambda number: {'sign': number.sign, 'moved': point_moved(number.digits, number.point)}),
    lambda number: trimmed_number(number.sign, number.moved)), 1)`,
  // The brackets outside of strings, one after the other, with the depth so far and the greatest depth in one number.
  String.raw`create or replace temp macro json_levels(t) as
    list_reduce(
      list_prepend(0::bigint, list_transform(
        string_split(regexp_replace(regexp_replace(t, '"(?:[^"\\]|\\.)*"', '', 'g'), '[^\[\]{}]', '', 'g'), ''),
        lambda bracket: case when bracket in ('[', '{') then 1 when bracket in (']', '}') then -1 else 0 end::bigint)),
      lambda so_far, step: greatest(so_far // 4194304, so_far % 4194304 + step) * 4194304 + so_far % 4194304 + step
    ) // 4194304`,
  // Seconds may be missing, and an offset may stand behind: both are what a plain cast to timestamp gets wrong.
  String.raw`create or replace temp macro any_timestamp(t) as
    timezone('UTC', try_cast(regexp_replace(t, '^(.{10}[T ].{5})(Z|[+-]|$)', '\1:00\2') as timestamptz))`,
];

const matches = (text: string, pattern: string): string => `regexp_full_match(${text}, ${literal(pattern)})`;

// Numbers without an exponent. Zeros in front and behind do not change a value.
const wholePattern = '-?0*[0-9]{1,19}(\\.0+)?';

function decimalPattern({ precision, scale }: { precision: number; scale: number }): string {
  const whole = precision === scale ? '0+' : `0*[0-9]{1,${precision - scale}}`;
  return `-?${whole}(\\.${scale === 0 ? '0+' : `[0-9]{1,${scale}}0*`})?`;
}

/**
 * The cast of a plain number to a decimal wider than 64 bits: DuckDB takes 8 µs to cast such a text, and 0.4 to cast its
 * digits to a whole number, of which the last digit is then said to be that of the decimal. The text must match the
 * pattern of the field.
 */
function wideCast(field: Field & { type: 'decimal' }, text: string): string {
  const { scale } = field;
  const type = sqlType(field);
  const whole = `split_part(${text}, '.', 1)`;
  if (scale === 0) return `try_cast(try_cast(${whole} as hugeint) as ${type})`;
  const units = `try_cast(${whole} || rpad(split_part(${text}, '.', 2), ${scale}, '0') as hugeint)`;
  const unit = `cast('0.${'1'.padStart(scale, '0')}' as decimal(${scale}, ${scale}))`;
  return `try_cast(try_cast(${units} as decimal(38, 0)) * ${unit} as ${type})`;
}

/**
 * The decimal of 64 bits in which the values of a wide field nearly always fit: casting to it and looking at what came
 * out takes 0.1 µs, `wideCast` with its pattern 0.4.
 */
function narrowed(field: Field & { type: 'decimal' }): Field & { type: 'decimal' } {
  return { ...field, precision: 18, scale: Math.min(field.scale, 10) };
}

/** Whether a file's values of this field that do not fit the narrow decimal are cast by `wideCast`. */
function isWide(field: Field, look: Look): field is Field & { type: 'decimal' } {
  return look === 'whole' && field.type === 'decimal' && field.precision > 18;
}

/** The cast that `canonicalText` is about; undefined for types that need none. */
function leniently(field: Field, text: string): string | undefined {
  switch (field.type) {
    case 'text':
    case 'boolean':
    case 'json':
      return undefined;
    default:
      return `try_cast(${text} as ${sqlType(field)})`;
  }
}

/**
 * True where the lenient cast is sure to be the value of the text; false and null may mean either. A test compares it
 * with the grammars, on texts with a few characters changed.
 */
function canonicalText(field: Field, text: string, cast: string): string {
  switch (field.type) {
    case 'integer':
      return `${cast}::varchar = ${text}`;
    case 'decimal': {
      // Zeros at the end may be missing. Where all digits stand behind the point, DuckDB writes none before it.
      const canonical = field.precision === field.scale ? `'0' || ${cast}::varchar` : `${cast}::varchar`;
      return `starts_with(${canonical}, ${text}) and not ends_with(${text}, '.')`;
    }
    case 'date':
      return `${cast}::varchar = ${text} and strlen(${text}) = 10`;
    case 'uuid':
      return `${cast}::varchar = lower(${text})`;
    case 'timestamp': {
      // As programs write it, or as databases do. The cast takes blanks, a sign where a digit should be, and a point
      // with nothing behind it; it drops an offset, which here is none.
      const shaped = (...ends: string[]) =>
        ends.map((end) => `${text} like '____-__-__T__:__:__${end}'`).join(' or ');
      return `${text} >= '0' and ${text} < ':' and ${cast} is not null and case
        when ${shaped('.___Z', '.______Z', '.______+00:00')} then not contains(${text}, ' ')
        when ${shaped('Z', '+00:00')} then not contains(${text}, ' ') and not contains(${text}, '.')
        else strlen(${text}) between 19 and 26 and ${cast}::varchar = ${text} end`;
    }
    default:
      return 'false';
  }
}

/** The typed value of a text that is not null, by the grammar of its type, or null when it does not fit. */
function valueByGrammar(field: Field, text: string, kind: RawKind, look: Look = 'close'): string {
  /** For cells, numbers with an exponent have another chance; JSON records with such numbers are rewritten first. */
  const number = (pattern: string) => {
    const cast = (value: string) =>
      `when ${matches(value, pattern)} then try_cast(${value} as ${sqlType(field)})`;
    const usual = isWide(field, look)
      ? `when ${matches(text, pattern)} then ${wideCast(field, text)}`
      : cast(text);
    const exponent = `when (contains(${text}, 'e') or contains(${text}, 'E')) and ${matches(text, numberGrammar)} then case ${cast(`plain_number(${text})`)} end`;
    return `case ${usual} ${kind === 'cell' ? exponent : ''} end`;
  };
  switch (field.type) {
    case 'text':
      return text;
    case 'integer':
      return number(wholePattern);
    case 'decimal':
      return number(decimalPattern(field));
    case 'boolean':
      return `case ${text} when 'true' then true when 'false' then false end`;
    case 'timestamp': {
      const common =
        '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z?';
      return `case when ${matches(text, common)} then try_cast(${text} as timestamp) when ${matches(text, timestampGrammar)} then any_timestamp(${text}) end`;
    }
    case 'date':
      return `case when ${matches(text, dateGrammar)} then try_cast(${text} as date) end`;
    case 'uuid':
      return `case when ${matches(text, uuidGrammar)} then try_cast(${text} as uuid) end`;
    case 'json':
      // As DuckDB writes it where no number can be harmed; else blanks outside of strings go, \\1 is a string or nothing.
      return kind === 'json'
        ? text
        : `case
        when not regexp_matches(${text}, '[\\s\\\\]') then ${text}
        when json_valid(${text}) and not regexp_matches(${text}, '[0-9][.eE]|-0') then json(${text})::varchar
        else regexp_replace(${text}, '("(?:[^"\\\\]|\\\\.)*")|\\s+', '\\1', 'g') end`;
  }
}

/** A number of the declaration (a bound, a default) as a literal of the field's type; bounds may be wider than the type. */
function boundLiteral(bound: string | number): string {
  return `cast(${literal(String(bound))} as decimal(38, ${String(bound).split('.')[1]?.length ?? 0}))`;
}

const firstTimestamp = "timestamp '0001-01-01 00:00:00'";
const lastTimestamp = "timestamp '9999-12-31 23:59:59.999999'";

/** The two looks at records in memory, or the one at a file (see stage.ts). */
export type Look = 'first' | 'close' | 'whole';

/** How the values of a part arrive: as the text of JSON values (column type JSON), or as the text of cells. */
export type RawKind = 'json' | 'cell';

export interface FieldSql {
  field: Field;
  /** The value's text from the raw column, or null when it is missing or must not be of that JSON type. */
  text: string;
  /** DuckDB's own cast of the column `text`, for types that need a closer look at it. */
  cast: string | undefined;
  /** The typed value from the columns `raw`, `text` and `cast`. */
  value: string;
  /** Number of the refusal (see `refusalOf`) from the columns `raw`, `text` and `value`, or null. */
  refusal: string;
  /** True where a cheap look suffices to see that there is no refusal; false and null may mean either. */
  fine: string;
}

const refusalCodes: ValueCode[] = [
  'missing_field',
  'invalid_value',
  'out_of_range',
  'bad_length',
  'pattern_mismatch',
  'not_one_of',
];
/** Numbers of refusals that concern the record as a whole; those of fields follow. */
export const recordRefusals = {
  unreadable: 0,
  repeated_field: 1,
  unknown_field: 2,
  too_old: 3,
  in_future: 4,
  unreadable_row: 5,
} as const;
/** Not a refusal: the record must be looked at closely (see stage.ts). */
export const lookClosely = -1;
/** Refused by a check; `_found` has code, field and message (see held-against.ts). */
export const refusedByCheck = 9;
const firstFieldRefusal = 10;

function refusalNumber(index: number, code: ValueCode): number {
  return firstFieldRefusal + index * refusalCodes.length + refusalCodes.indexOf(code);
}

/** The columns in which the steps of a field stand. */
export interface FieldColumns {
  raw: string;
  text: string;
  cast: string;
  value: string;
}

/**
 * The SQL of one field.
 * @param look of `first`, only canonical texts get a value; of `close`, json values arrive wrapped in a JSON string
 * (see `exact-rows.ts`)
 */
export function fieldSql(
  stream: Stream,
  index: number,
  kind: RawKind,
  look: Look,
  columns: FieldColumns,
): FieldSql {
  const field = stream.fields[index]!;
  const { raw, text, value } = columns;
  // What a form fixes stands in no record.
  if (!stream.named.includes(field))
    return { field, text: raw, cast: undefined, value: defaultValue(field), fine: 'true', refusal: 'null' };
  const isText = stringTypes.has(field.type);
  const quoted = `starts_with(${raw}, '"')`;
  const unquoted = `(${raw} ->> '$')`;
  const given =
    kind === 'cell'
      ? raw
      : field.type === 'json'
        ? look === 'close'
          ? unquoted
          : `${raw}::varchar`
        : `case when ${quoted} then ${unquoted}${isText ? '' : ` else ${raw}::varchar`} end`;
  const textSql = field.type === 'text' && field.normalize ? `normal_code(${given})` : given;
  const fallback = field.default === undefined ? undefined : defaultValue(field);
  const refuse = (code: ValueCode) => String(refusalNumber(index, code));
  const conditions: [string, ValueCode][] = [];
  if (field.required) conditions.push([`${raw} is null`, 'missing_field']);
  if (kind === 'json' && isText) conditions.push([`${raw} is not null and ${text} is null`, 'invalid_value']);
  switch (field.type) {
    case 'text': {
      const max = textLimit(stream, field);
      // Bytes are counted faster than characters, and there are never fewer of them.
      conditions.push([`strlen(${text}) > ${max} and length(${text}) > ${max}`, 'bad_length']);
      if (field.min_length) conditions.push([`length(${text}) < ${field.min_length}`, 'bad_length']);
      if (field.pattern) conditions.push([`not ${matches(text, field.pattern)}`, 'pattern_mismatch']);
      if (field.one_of)
        conditions.push([`${text} not in (${field.one_of.map(literal).join(', ')})`, 'not_one_of']);
      break;
    }
    case 'json':
      conditions.push([`length(${text}) > ${limits.json_characters}`, 'bad_length']);
      if (kind === 'cell') {
        // DuckDB's JSON is lenient: it takes NaN, Infinity and a comma before a closing bracket.
        conditions.push([
          `${text} is not null and (not json_valid(${text}) or regexp_matches(${text}, '(?i)(^|[:,\\[])\\s*-?(nan|inf)|,\\s*[}\\]]'))`,
          'invalid_value',
        ]);
      }
      if (field.object) conditions.push([`not starts_with(${value}, '{')`, 'invalid_value']);
      if (field.max_levels !== undefined) {
        const deep = `${mayBeDeep(text, field.max_levels)} and json_levels(${text}) > ${field.max_levels}`;
        conditions.push([deep, 'invalid_value']);
      }
      break;
    default: {
      const plain =
        kind === 'cell' ? `case when ${matches(text, numberGrammar)} then plain_number(${text}) end` : text;
      if (field.type === 'integer') {
        conditions.push([
          `${text} is not null and ${value} is null and ${matches(plain, '-?[0-9]+(\\.0+)?')}`,
          'out_of_range',
        ]);
      }
      if (field.type === 'decimal') {
        const tooMany = `-?0*[1-9][0-9]{${field.precision - field.scale},}(\\.[0-9]+)?`;
        conditions.push([
          `${text} is not null and ${value} is null and ${matches(plain, tooMany)}`,
          'out_of_range',
        ]);
      }
      conditions.push([`${text} is not null and ${value} is null`, 'invalid_value']);
      if (field.type === 'timestamp') {
        conditions.push([`${value} not between ${firstTimestamp} and ${lastTimestamp}`, 'invalid_value']);
      }
      if (field.type === 'integer' || field.type === 'decimal') {
        if (field.min !== undefined)
          conditions.push([`${value} < ${boundLiteral(field.min)}`, 'out_of_range']);
        if (field.max !== undefined)
          conditions.push([`${value} > ${boundLiteral(field.max)}`, 'out_of_range']);
        if (field.type === 'integer' && field.one_of)
          conditions.push([`${value} not in (${field.one_of.map(boundLiteral).join(', ')})`, 'not_one_of']);
      }
    }
  }
  const narrow = isWide(field, look) ? narrowed(field) : field;
  const cast = leniently(narrow, text);
  const byGrammar =
    cast !== undefined && look === 'first' ? '' : `else ${valueByGrammar(field, text, kind, look)}`;
  const typed =
    cast === undefined
      ? valueByGrammar(field, text, kind, look)
      : `case when ${canonicalText(narrow, text, columns.cast)} then ${narrow === field ? columns.cast : `try_cast(${columns.cast} as ${sqlType(field)})`} ${byGrammar} end`;
  return {
    field,
    text: textSql,
    cast,
    value: fallback === undefined ? typed : `case when ${raw} is null then ${fallback} else ${typed} end`,
    fine: kind === 'cell' && field.type === 'json' ? 'false' : fineValue(stream, field, columns),
    refusal:
      conditions.length === 0
        ? 'null'
        : `case ${conditions.map(([when, code]) => `when ${when} then ${refuse(code)}`).join(' ')} end`,
  };
}

/** A cheap condition, true only where there is surely no refusal. */
function fineValue(stream: Stream, field: Field, { raw, text, value }: FieldColumns): string {
  const conditions = [`${value} is not null`];
  if (field.type === 'text') {
    // Bytes are counted faster than characters, and there are never fewer of them.
    conditions.push(
      field.one_of
        ? `${text} in (${field.one_of.map(literal).join(', ')})`
        : `strlen(${text}) <= ${textLimit(stream, field)}`,
    );
    if (field.min_length) conditions.push(`length(${text}) >= ${field.min_length}`);
    if (field.pattern) conditions.push(matches(text, field.pattern));
  }
  if (field.type === 'json') {
    conditions.push(`strlen(${text}) <= ${limits.json_characters}`);
    if (field.max_levels !== undefined) conditions.push(`not ${mayBeDeep(text, field.max_levels)}`);
    if (field.object) conditions.push(`starts_with(${text}, '{')`);
  }
  if (field.type === 'timestamp')
    conditions.push(`${value} >= ${firstTimestamp}`, `${value} <= ${lastTimestamp}`);
  if (field.type === 'integer' || field.type === 'decimal') {
    if (field.min !== undefined) conditions.push(`${value} >= ${boundLiteral(field.min)}`);
    if (field.max !== undefined) conditions.push(`${value} <= ${boundLiteral(field.max)}`);
    if (field.type === 'integer' && field.one_of)
      conditions.push(`${value} in (${field.one_of.map(boundLiteral).join(', ')})`);
  }
  const present = conditions.join(' and ');
  return field.required ? present : `(${raw} is null or (${present}))`;
}

/** Whether a JSON text has so many brackets that it may have too many levels. */
function mayBeDeep(text: string, most: number): string {
  return `(strlen(${text}) > ${2 * most} and strlen(${text}) - strlen(replace(replace(${text}, '[', ''), '{', '')) > ${most})`;
}

function textLimit(stream: Stream, field: Field & { type: 'text' }): number {
  return field === stream.id
    ? Math.min(field.max_length ?? limits.id_characters, limits.id_characters)
    : textMax(field);
}

/** The default as a literal of the field's type: the declaration has checked it. */
function defaultValue(field: Field): string {
  const checked = checkValue(field, undefined);
  if (!('value' in checked) || checked.value === null)
    throw new Error(`the default of ${field.name} does not fit it`);
  return `cast(${literal(checked.value)} as ${sqlType(field)})`;
}

/** What a refusal number stands for. `message` takes the value that was found. */
export function refusalOf(
  stream: Stream,
  number: number,
): { code: RejectCode; field: string | undefined; message: (found: string, bound: string) => string } {
  const names = stream.named.map((field) => field.name);
  switch (number) {
    case recordRefusals.unreadable:
      return { code: 'unreadable', field: undefined, message: () => recordMessages.unreadable };
    case recordRefusals.unreadable_row:
      return { code: 'unreadable', field: undefined, message: recordMessages.unreadable_row };
    case recordRefusals.repeated_field:
      return { code: 'unreadable', field: undefined, message: recordMessages.repeated_field };
    case recordRefusals.unknown_field:
      return {
        code: 'unknown_field',
        field: undefined,
        message: (found) => recordMessages.unknown_field(found, names),
      };
    case recordRefusals.too_old:
      return { code: 'too_old', field: stream.time?.name, message: recordMessages.too_old };
    case recordRefusals.in_future:
      return { code: 'in_future', field: stream.time?.name, message: recordMessages.in_future };
    default: {
      const position = number - firstFieldRefusal;
      const field = stream.fields[Math.floor(position / refusalCodes.length)]!;
      const code = refusalCodes[position % refusalCodes.length]!;
      return { code, field: field.name, message: (found) => refusalMessage(field, code, found) };
    }
  }
}

/** Every refusal number a stream can have. */
export function refusalNumbers(stream: Stream): number[] {
  const fields = stream.fields.flatMap((_, index) => refusalCodes.map((code) => refusalNumber(index, code)));
  return [...Object.values(recordRefusals), ...fields];
}
