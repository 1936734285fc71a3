/**
 * The types of a record's fields. From one declaration come the check of a value (here), its JSON Schema
 * (`json-schema.ts`) and its SQL (`stores/duckdb/casts.ts`); a test holds the three against each other.
 *
 * The rule (SPEC 1.1): nothing is rounded or reinterpreted. The text of a value must fit the grammar of its
 * type and be exactly representable in it, or the record is rejected with what was found and what is expected.
 *
 * A checked value is kept here as its canonical text, whatever its type: `1.50` and `15e-1` are both `1.5`,
 * a timestamp is `2026-10-05T06:43:00.000000Z`, a uuid is in lower case. Equal values have equal texts.
 */
import {
  canonicalTimestamp,
  dateGrammar,
  type Micros,
  parseDate,
  parseTimestamp,
  timestampGrammar,
} from './calendar.ts';
import { compareNumbers, numberGrammar, plainNumber } from './decimal.ts';
import { endsInTime } from './ends-in-time.ts';
import { jsonLevels, minifyJson, parseStrictJson } from './exact-json.ts';
import { limits } from './limits.ts';

interface Presence {
  /** The record is rejected when the field is missing or null. */
  required?: boolean;
  /** Taken when the field is missing or null. */
  default?: string | number | boolean;
  /** What is taken in all the same, and counted in the receipt of an import: see `warnings.ts`. */
  warn?: { missing?: boolean; pattern?: string };
}

export type FieldDeclaration = Presence &
  (
    | {
        type: 'text';
        min_length?: number;
        max_length?: number;
        pattern?: string;
        one_of?: string[];
        normalize?: 'code';
        /** Most records have another text; changes nothing but how it is kept. */
        varied?: boolean;
      }
    | { type: 'integer'; min?: string | number; max?: string | number; one_of?: (string | number)[] }
    | { type: 'decimal'; precision: number; scale: number; min?: string | number; max?: string | number }
    | { type: 'boolean' }
    | { type: 'timestamp' }
    | { type: 'date' }
    | { type: 'uuid' }
    | { type: 'json'; object?: boolean; max_levels?: number }
  );

export type FieldType = FieldDeclaration['type'];
export const fieldTypes: readonly FieldType[] = [
  'text',
  'integer',
  'decimal',
  'boolean',
  'timestamp',
  'date',
  'uuid',
  'json',
];

export type Field = FieldDeclaration & { name: string };

/** Why a single value is refused; the codes a reject can have beside those of `verdicts.ts`. */
export type ValueCode =
  | 'missing_field'
  | 'invalid_value'
  | 'out_of_range'
  | 'bad_length'
  | 'pattern_mismatch'
  | 'not_one_of';

export const integerMin = '-9223372036854775808';
export const integerMax = '9223372036854775807';
export const uuidGrammar = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';

/** Types whose JSON form must be a string. Numbers may come as JSON numbers or as strings, booleans as either. */
export const stringTypes: ReadonlySet<FieldType> = new Set(['text', 'timestamp', 'date', 'uuid']);

/** What a value of the field must look like, to follow the word "expected" in a message. */
export function expectation(field: Field): string {
  switch (field.type) {
    case 'text': {
      if (field.one_of) return `one of ${field.one_of.map((value) => `"${value}"`).join(', ')}`;
      const min = field.min_length ?? 0;
      const length = `${min > 0 ? `${min} to ` : 'at most '}${textMax(field)} characters`;
      return field.pattern ? `text matching ${field.pattern} (${length})` : `text of ${length}`;
    }
    case 'integer':
      if (field.one_of) return `one of ${field.one_of.join(', ')}`;
      return `a whole number from ${field.min ?? integerMin} to ${field.max ?? integerMax}`;
    case 'decimal': {
      const bounds = [
        field.min === undefined ? '' : ` from ${field.min}`,
        field.max === undefined ? '' : ` up to ${field.max}`,
      ].join('');
      return `a decimal number with at most ${field.precision - field.scale} digits before the point and ${field.scale} after it${bounds}`;
    }
    case 'boolean':
      return 'true or false';
    case 'timestamp':
      return 'a timestamp such as 2026-10-05T06:43:00.123456Z, in the years 1 to 9999';
    case 'date':
      return 'a date such as 2026-10-05';
    case 'uuid':
      return 'a uuid such as 3f2c1a9e-5b7d-4c1e-9a60-2f6b8d1e4c55';
    case 'json':
      return `${field.object ? 'a JSON object' : 'JSON'} of at most ${limits.json_characters} characters${field.max_levels === undefined ? '' : ` and ${field.max_levels} levels`}`;
  }
}

export function textMax(field: Field & { type: 'text' }): number {
  return field.max_length ?? limits.text_characters;
}

/** A value as it came: the text of a CSV cell, or a JSON value as it was written. */
export type RawValue = { kind: 'cell' | 'json'; text: string };
export type CheckedValue = { value: string | null } | { code: ValueCode };

/**
 * Checks one value against its field. `raw` is undefined where the field is missing; a JSON null and an empty
 * unquoted cell (which readers give as undefined) are missing too.
 */
export function checkValue(field: Field, raw: RawValue | undefined): CheckedValue {
  if (raw === undefined || (raw.kind === 'json' && raw.text === 'null')) {
    if (field.default !== undefined) return checkValue({ ...withoutDefault(field) }, defaultRaw(field));
    return field.required ? { code: 'missing_field' } : { value: null };
  }
  if (field.type === 'json') return checkJson(field, raw);
  let text = raw.text;
  if (raw.kind === 'json') {
    if (text.startsWith('"')) text = JSON.parse(text) as string;
    else if (stringTypes.has(field.type)) return { code: 'invalid_value' };
  }
  return checkText(field, text);
}

function withoutDefault(field: Field): Field {
  const { default: _, ...rest } = field;
  return rest as Field;
}

/** The default as a value of its own type; for json it is JSON text. */
function defaultRaw(field: Field): RawValue {
  return { kind: 'cell', text: String(field.default) };
}

function checkText(field: Exclude<Field, { type: 'json' }>, text: string): CheckedValue {
  switch (field.type) {
    case 'text': {
      const value = field.normalize ? codeOf(text) : text;
      const length = [...value].length;
      if (length < (field.min_length ?? 0) || length > textMax(field)) return { code: 'bad_length' };
      if (field.pattern && !matchesWhole(field.pattern, value)) return { code: 'pattern_mismatch' };
      if (field.one_of && !field.one_of.includes(value)) return { code: 'not_one_of' };
      return { value };
    }
    case 'integer': {
      const isShort = shortInteger.test(text);
      const plain = isShort ? text : plainNumber(text);
      if (plain === undefined || plain.includes('.')) return { code: 'invalid_value' };
      if (!isShort && (compareNumbers(plain, integerMin) < 0 || compareNumbers(plain, integerMax) > 0))
        return { code: 'out_of_range' };
      if (field.one_of && !field.one_of.some((one) => plainNumber(String(one)) === plain))
        return { code: 'not_one_of' };
      return checkRange(field, plain);
    }
    case 'decimal': {
      const plain = plainNumber(text);
      if (plain === undefined) return { code: 'invalid_value' };
      const [whole = '', fraction = ''] = plain.replace('-', '').split('.');
      if (whole !== '0' && whole.length > field.precision - field.scale) return { code: 'out_of_range' };
      if (fraction.length > field.scale) return { code: 'invalid_value' };
      return checkRange(field, plain);
    }
    case 'boolean':
      return text === 'true' || text === 'false' ? { value: text } : { code: 'invalid_value' };
    case 'timestamp': {
      const value = canonicalTimestamp(text);
      return value === undefined ? { code: 'invalid_value' } : { value };
    }
    case 'date':
      return parseDate(text) === undefined ? { code: 'invalid_value' } : { value: text };
    case 'uuid':
      return new RegExp(`^${uuidGrammar}$`).test(text)
        ? { value: text.toLowerCase() }
        : { code: 'invalid_value' };
  }
}

/** A whole number in its plain form, too short to be out of range. */
const shortInteger = /^(?:0|-?[1-9][0-9]{0,17})$/;

/**
 * Whether a text matches a pattern as a whole. JavaScript's expressions can backtrack for ever, where RE2, by which
 * stores match records, cannot: one that does not end in time matches nothing.
 */
export function matchesWhole(pattern: string, text: string): boolean {
  let matches = false;
  endsInTime(() => {
    matches = new RegExp(`^(?:${pattern})$`, 'u').test(text);
  }, limits.pattern_milliseconds);
  return matches;
}

/** A code as it is kept: without hyphens, the letters A to Z in upper case. */
export function codeOf(text: string): string {
  return text.replaceAll('-', '').replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

function checkRange(field: { min?: string | number; max?: string | number }, plain: string): CheckedValue {
  const below = field.min !== undefined && compareNumbers(plain, plainNumber(String(field.min))!) < 0;
  const above = field.max !== undefined && compareNumbers(plain, plainNumber(String(field.max))!) > 0;
  return below || above ? { code: 'out_of_range' } : { value: plain };
}

function checkJson({ object, max_levels: most }: Field & { type: 'json' }, raw: RawValue): CheckedValue {
  if (raw.text.length > limits.json_characters) return { code: 'bad_length' };
  if (raw.kind === 'cell' && parseStrictJson(raw.text) === undefined) return { code: 'invalid_value' };
  const value = minifyJson(raw.text);
  if (object && !value.startsWith('{')) return { code: 'invalid_value' };
  if (most !== undefined && jsonLevels(value) > most) return { code: 'invalid_value' };
  return { value };
}

/** The message of a refused value: what was found, what is expected. `found` is cut to `limits.found_characters`. */
export function refusalMessage(field: Field, code: ValueCode, found: string | undefined): string {
  if (code === 'missing_field') return `${field.name} is missing; expected ${expectation(field)}`;
  return `${field.name} is ${found ?? 'null'}; expected ${expectation(field)}`;
}

/** Microseconds of a checked timestamp or date (midnight in UTC). */
export function microsOf(field: Field, value: string): Micros {
  return field.type === 'date' ? BigInt(parseDate(value)!) * 86_400_000_000n : parseTimestamp(value)!;
}

export const grammars = {
  number: numberGrammar,
  timestamp: timestampGrammar,
  date: dateGrammar,
  uuid: uuidGrammar,
};
