/**
 * A question is data: measures, by, every, where, from, to … (SPEC 1.4). It comes as JSON or as query
 * parameters, is checked here against its stream, and reaches a store only in this checked form: fields are
 * resolved, values are canonical text of their field's type, times are instants.
 */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import {
  type Every,
  everyNames,
  instantOfLocal,
  isTimeZone,
  type Micros,
  parseDate,
  parseTimestamp,
} from './calendar.ts';
import { plainNumber } from './decimal.ts';
import { EverySchema } from './declaration.ts';
import { TallybookError } from './errors.ts';
import { checkValue, expectation, type Field } from './field-types.ts';
import { limits } from './limits.ts';
import { checkShare, type Share, ShareSchema } from './share.ts';
import type { Stream } from './stream.ts';
import { checkWeights, type Weights, WeightsSchema, weightedScaleMax } from './weights.ts';

const operators = ['eq', 'ne', 'in', 'gt', 'gte', 'lt', 'lte', 'like'] as const;
export type Operator = (typeof operators)[number] | 'is_null' | 'not_null';

const Scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);
const compared = Type.Optional(Scalar);
const Comparison = Type.Union([
  Scalar,
  Type.Array(Scalar, { maxItems: limits.question_condition_values }),
  Type.Object(
    {
      eq: compared,
      ne: compared,
      gt: compared,
      gte: compared,
      lt: compared,
      lte: compared,
      like: compared,
      in: Type.Optional(Type.Array(Scalar, { maxItems: limits.question_condition_values })),
    },
    { additionalProperties: false },
  ),
]);

/** A question as it is sent: the body of POST …/query; the query parameters of GET have the same names. */
export const QuestionSchema = Type.Object(
  {
    measures: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: limits.question_measures,
        description:
          'count, sum(f), min(f), max(f), avg(f), count_distinct(f), each also with " if field=value"; greatest(sum(f) if field=value, …); weighted(f), with weights; count when not given',
      }),
    ),
    by: Type.Optional(Type.Array(Type.String(), { maxItems: limits.question_dimensions })),
    every: Type.Optional(EverySchema),
    tz: Type.Optional(Type.String()),
    from: Type.Optional(Type.String({ description: 'inclusive; a timestamp, or a date (midnight in tz)' })),
    to: Type.Optional(Type.String({ description: 'exclusive' })),
    where: Type.Optional(Type.Record(Type.String(), Comparison)),
    having: Type.Optional(Type.Record(Type.String(), Comparison)),
    order: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 2 * (limits.question_dimensions + limits.question_measures),
        description: 'columns, -column for descending',
      }),
    ),
    after: Type.Optional(
      Type.Array(Scalar, {
        maxItems: limits.question_dimensions + limits.question_measures,
        description:
          'only rows that come after this one: its values in the columns of the order, dimensions that order does not name last',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.answer_rows })),
    fill: Type.Optional(Type.Literal('zero')),
    weights: Type.Optional(WeightsSchema),
    share: Type.Optional(ShareSchema),
    known_at: Type.Optional(Type.String({ description: 'only what was recorded up to and including then' })),
  },
  { additionalProperties: false },
);
export type AskedQuestion = Static<typeof QuestionSchema>;

export type MeasureName =
  | 'count'
  | 'sum'
  | 'min'
  | 'max'
  | 'avg'
  | 'count_distinct'
  | 'greatest'
  | 'weighted';
export interface Measure {
  /** The column's name: the measure as it was asked. */
  text: string;
  name: MeasureName;
  /** Undefined for count alone; for greatest one that stands for all of its parts. */
  field: Field | undefined;
  /** Only records that fit it count. */
  only: Condition | undefined;
  /** For greatest: the sums of which the largest is meant. */
  parts: Measure[];
  /** For weighted. */
  weights?: Weights;
}

export const countMeasure: Measure = {
  text: 'count',
  name: 'count',
  field: undefined,
  only: undefined,
  parts: [],
};

/** A field, or a path into a json field; into a text, where that is JSON. */
export interface Dimension {
  text: string;
  field: Field;
  path: string[];
}

export interface Condition {
  dimension: Dimension;
  operator: Operator;
  /** Canonical text of the field's type; for paths into json, the text to compare with. */
  values: string[];
}

export interface Having {
  /** Index into measures. */
  measure: number;
  operator: Exclude<Operator, 'like' | 'is_null' | 'not_null'>;
  /** Plain numbers, or canonical text for min and max of other types. */
  values: string[];
}

/** What selects entries: shared by questions, lists and explain. */
export interface Selection {
  where: Condition[];
  /** Inclusive. */
  from: Micros | undefined;
  /** Exclusive. */
  to: Micros | undefined;
  /** Inclusive: only what was recorded up to then. */
  knownAt: Micros | undefined;
}

export interface Question extends Selection {
  measures: Measure[];
  by: Dimension[];
  /** `all` has no bucket column. */
  every: Every;
  tz: string;
  having: Having[];
  /** Column names (measures, dimensions, the bucket), all of them, so that the order is total. */
  order: { column: string; descending: boolean }[];
  /** Only rows beyond this one: a value for each column of the order, canonical text or null. */
  after: (string | null)[] | undefined;
  limit: number;
  fill: boolean;
  /** Then the order is that of the share, and there is no `having` and no `after`. */
  share?: Share;
  /**
   * Exclusive. Then the groups are of entries, not of records: of everything that was recorded after then, what took
   * back and what is taken back alike. So it tells which keys were touched; `count` is the only measure.
   */
  touchedAfter?: Micros;
}

function bad(detail: string): TallybookError {
  return new TallybookError('bad_question', detail);
}

/** Checks a question against its stream. Throws `bad_question` with what was expected. */
export function checkQuestion(stream: Stream, asked: AskedQuestion): Question {
  const tz = checkZone(asked.tz);
  const every = asked.every ?? 'all';
  if (every !== 'all' && !stream.time)
    throw bad(`every=${every}: the stream ${stream.name} declares no "time"`);
  const texts = asked.measures?.length ? asked.measures : ['count'];
  const weights = asked.weights && checkWeights(stream, asked.weights);
  const measures = [...new Set(texts)].map((text) => checkMeasure(stream, text, weights));
  const by = [...new Set(asked.by ?? [])].map((text) => checkDimension(stream, text));
  const columns = [...(every === 'all' ? [] : [every]), ...by.map((d) => d.text)];
  const measureTexts = measures.map((m) => m.text);
  const order = (asked.order ?? []).map((text) => {
    const descending = text.startsWith('-');
    const column = descending ? text.slice(1) : text;
    if (!columns.includes(column) && !measureTexts.includes(column)) {
      throw bad(`order names ${column}; expected one of ${[...columns, ...measureTexts].join(', ')}`);
    }
    return { column, descending };
  });
  for (const column of columns) {
    if (!order.some((o) => o.column === column)) order.push({ column, descending: false });
  }
  const selection = checkSelection(stream, asked);
  const fill = asked.fill === 'zero';
  if (fill && (every === 'all' || selection.from === undefined || selection.to === undefined)) {
    throw bad('fill=zero needs every, from and to');
  }
  if (asked.after && every !== 'all')
    throw bad('after pages through an answer without buckets; leave every out');
  const after = asked.after && checkAfter(order, by, measures, asked.after);
  if ((fill || after) && weights) throw bad('weights cannot be asked for together with fill or after');
  const question = {
    measures,
    by,
    every,
    tz,
    having: checkHaving(measures, asked.having ?? {}),
    order,
    after,
    limit: asked.limit ?? limits.answer_rows_default,
    fill,
    ...selection,
  };
  if (!asked.share) return question;
  const share = checkShare(asked.share, question, asked.order !== undefined);
  order.unshift({ column: measures[share.measure]!.text, descending: true });
  return { share, ...question };
}

function checkZone(tz = 'UTC'): string {
  if (!isTimeZone(tz)) throw bad(`tz is ${tz}; expected a time zone such as Europe/Madrid or UTC`);
  return tz;
}

/** The part of a question that selects entries. */
export function checkSelection(
  stream: Stream,
  asked: Pick<AskedQuestion, 'where' | 'from' | 'to' | 'known_at' | 'tz'>,
): Selection {
  const tz = checkZone(asked.tz);
  if ((asked.from !== undefined || asked.to !== undefined) && !stream.time) {
    throw bad(`from and to: the stream ${stream.name} declares no "time"`);
  }
  const from = asked.from === undefined ? undefined : checkInstant('from', asked.from, tz);
  const to = asked.to === undefined ? undefined : checkInstant('to', asked.to, tz);
  if (from !== undefined && to !== undefined && from > to)
    throw bad(`from (${asked.from}) lies after to (${asked.to})`);
  const where: Condition[] = [];
  for (const [name, comparison] of Object.entries(asked.where ?? {})) {
    const dimension = checkDimension(stream, name);
    for (const [operator, values] of comparisons(name, comparison)) {
      where.push(checkCondition(dimension, operator, values));
    }
  }
  if (where.length > limits.question_conditions)
    throw bad(`where has more than ${limits.question_conditions} conditions`);
  return {
    where,
    from,
    to,
    knownAt: asked.known_at === undefined ? undefined : checkInstant('known_at', asked.known_at, tz),
  };
}

/** No instant is longer; what looks behind itself takes too long on a long text. */
const instantCharacters = 100;

/** An instant of a question: a timestamp (with no offset: UTC), or a date (midnight in the time zone). */
export function checkInstant(name: string, text: string, tz: string): Micros {
  // A plus sign of an offset arrives as a space when a client forgets to encode it: 2026-10-05T00:00:00 02:00
  const mended =
    text.length > instantCharacters ? text : text.replace(/(?<=T.*:\d\d(\.\d+)?) (?=\d\d:?\d\d$)/, '+');
  const instant = parseTimestamp(mended);
  if (instant !== undefined) return instant;
  const days = parseDate(text);
  if (days === undefined)
    throw bad(`${name} is ${text}; expected a timestamp such as 2026-10-05T06:43:00Z, or a date`);
  return instantOfLocal(tz, BigInt(days) * 86_400_000_000n);
}

const measurePattern =
  /^(count|(sum|min|max|avg|count_distinct)\(([a-z][a-z0-9_]*)\))(?: if ([a-z][^\s=]*)=(.*))?$/s;

function checkMeasure(stream: Stream, text: string, weights?: Weights): Measure {
  const weighted = /^weighted\(([a-z][a-z0-9_]*)\)$/.exec(text)?.[1];
  if (weighted !== undefined) return checkWeighted(stream, text, weighted, weights);
  const inside = /^greatest\((.*)\)$/s.exec(text)?.[1];
  if (inside !== undefined) return checkGreatest(stream, text, inside);
  const match = measurePattern.exec(text);
  if (!match)
    throw bad(
      `${text} is no measure; expected count, sum(f), min(f), max(f), avg(f) or count_distinct(f), with " if field=value" or without`,
    );
  const [, whole, kind, of = '', conditionOn, value] = match;
  const only =
    conditionOn === undefined
      ? undefined
      : checkCondition(checkDimension(stream, conditionOn), 'eq', [value]);
  if (whole === 'count') return { text, name: 'count', field: undefined, only, parts: [] };
  const name = kind as MeasureName;
  const field = stream.field(of);
  if (!field) throw bad(`${text}: ${unknownField(stream, of)}`);
  const numeric = field.type === 'integer' || field.type === 'decimal';
  if ((name === 'sum' || name === 'avg') && !numeric)
    throw bad(`${text}: ${field.name} is a ${field.type}; expected an integer or a decimal`);
  if (field.type === 'json' || (field.type === 'boolean' && name !== 'count_distinct')) {
    throw bad(`${text}: ${field.name} is a ${field.type}, which has no ${name}`);
  }
  return { text, name, field, only, parts: [] };
}

function checkWeighted(stream: Stream, text: string, of: string, weights: Weights | undefined): Measure {
  if (!weights) throw bad(`${text} needs weights`);
  const field = stream.field(of);
  if (field?.type !== 'integer' && (field?.type !== 'decimal' || field.scale > weightedScaleMax))
    throw bad(
      `${text}: expected an integer, or a decimal with at most ${weightedScaleMax} digits after the point`,
    );
  return { text, name: 'weighted', field, only: undefined, parts: [], weights };
}

/** The largest of several sums of a row: of a measure split by a dimension, without a row for each of its values. */
function checkGreatest(stream: Stream, text: string, inside: string): Measure {
  const texts = splitOutside(inside);
  if (texts.length > limits.question_measures)
    throw bad(`greatest has ${texts.length} parts; expected at most ${limits.question_measures}`);
  if (texts.some((part) => part.startsWith('greatest('))) throw bad(`${text}: expected sums, no greatest`);
  const parts = texts.map((part) => checkMeasure(stream, part));
  const decimals = ({ field }: Measure) => (field?.type === 'decimal' ? field.scale : 0);
  const alike = (part: Measure) => part.name === 'sum' && decimals(part) === decimals(parts[0]!);
  if (parts.length === 0 || !parts.every(alike))
    throw bad(`${text}: expected sums with the same number of decimals, separated by commas`);
  return { text, name: 'greatest', field: parts[0]!.field, only: undefined, parts };
}

/** Cuts a list at the commas outside of parentheses. */
function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    if (character === '(') depth += 1;
    else if (character === ')') depth -= 1;
    if (at < text.length && (character !== ',' || depth > 0)) continue;
    parts.push(text.slice(start, at).trim());
    start = at + 1;
  }
  return parts.filter((part) => part !== '');
}

/** The values of a row in the columns of the order. */
function checkAfter(
  order: Question['order'],
  by: Dimension[],
  measures: Measure[],
  given: unknown[],
): (string | null)[] {
  const expected = order.map(({ column }) => column).join(', ');
  if (given.length !== order.length)
    throw bad(`after has ${given.length} values; expected those of ${expected}`);
  return order.map(({ column }, index) => {
    const value = given[index];
    if (value === null) return null;
    const dimension = by.find(({ text }) => text === column);
    if (dimension) return checkCondition(dimension, 'eq', [value]).values[0]!;
    return checkAgainst(`after ${column}`, measures.find(({ text }) => text === column)!, value);
  });
}

/** A value to compare a measure with: a plain number, or the canonical text for min and max of other types. */
function checkAgainst(what: string, { name, field }: Measure, value: unknown): string {
  if (name === 'weighted') throw bad(`${what}: a weighted sum is not compared with values`);
  const ofItsType = name === 'min' || name === 'max';
  if (ofItsType && field && field.type !== 'integer' && field.type !== 'decimal')
    return checkCondition({ text: what, field, path: [] }, 'eq', [value]).values[0]!;
  const plain = plainNumber(String(value));
  // Sums of 10^12 records with 38 digits each.
  const digits = name === 'sum' || name === 'greatest' ? 50 : 38;
  if (plain === undefined || plain.replace(/[-.]/g, '').length > digits)
    throw bad(`${what}: ${String(value)} is no number`);
  return plain;
}

function unknownField(stream: Stream, name: string): string {
  return `the stream ${stream.name} has no field ${name}; its fields are ${stream.fields.map((f) => f.name).join(', ')}`;
}

function checkDimension(stream: Stream, text: string): Dimension {
  const [name = '', ...path] = text.split('.');
  const field = stream.field(name);
  if (!field) throw bad(unknownField(stream, name));
  if (path.length > 0 && field.type !== 'json' && field.type !== 'text')
    throw bad(`${text}: ${name} is a ${field.type}; only json and text have paths`);
  if (path.length === 0 && field.type === 'json')
    throw bad(`${text}: a json field needs a path, such as ${name}.key`);
  if (path.length > 20 || path.some((key) => key === '' || key.length > 200)) {
    throw bad(`${text}: a path has at most 20 keys, none of them empty`);
  }
  return { text, field, path };
}

function comparisons(name: string, comparison: unknown): [string, unknown[]][] {
  if (comparison === null || typeof comparison !== 'object') return [['eq', [comparison]]];
  if (Array.isArray(comparison)) return [['in', comparison]];
  return Object.entries(comparison).map(([operator, value]) => {
    if (!(operators as readonly string[]).includes(operator)) {
      throw bad(`${name}: ${operator} is no comparison; expected one of ${operators.join(', ')}`);
    }
    return [operator, Array.isArray(value) ? value : [value]];
  });
}

function checkCondition(dimension: Dimension, operator: string, values: unknown[]): Condition {
  const { field, path, text } = dimension;
  if (values.length === 1 && values[0] === null) {
    if (operator !== 'eq' && operator !== 'ne') throw bad(`${text}: only eq and ne compare with null`);
    return { dimension, operator: operator === 'eq' ? 'is_null' : 'not_null', values: [] };
  }
  if (values.includes(null)) throw bad(`${text}: null cannot stand in a list`);
  if (operator === 'like' && field.type !== 'text' && path.length === 0)
    throw bad(`${text}: like needs a text field`);
  if (operator === 'like' && values.some((value) => String(value).length > limits.like_characters))
    throw bad(`${text}: like takes at most ${limits.like_characters} characters`);
  if (field.type === 'boolean' && !['eq', 'ne', 'in'].includes(operator))
    throw bad(`${text}: booleans have no order`);
  const asField: Field =
    path.length > 0 || field.type === 'text'
      ? { name: text, type: 'text', max_length: limits.json_characters }
      : ({ name: field.name, ...bare(field) } as Field);
  const checked = values.map((value) => {
    const result = checkValue(asField, { kind: 'cell', text: String(value) });
    if ('code' in result)
      throw bad(`${text} is compared with ${String(value)}; expected ${expectation(asField)}`);
    return result.value!;
  });
  return { dimension, operator: operator as Operator, values: checked };
}

/** A field without its bounds: a question may compare with any value of the type. */
function bare(field: Field): object {
  return field.type === 'decimal'
    ? { type: 'decimal', precision: 38, scale: field.scale }
    : { type: field.type };
}

function checkHaving(measures: Measure[], asked: Record<string, unknown>): Having[] {
  return Object.entries(asked).flatMap(([name, comparison]) => {
    const measure = measures.findIndex((m) => m.text === name);
    if (measure < 0)
      throw bad(
        `having names ${name}; expected one of the measures: ${measures.map((m) => m.text).join(', ')}`,
      );
    return comparisons(name, comparison).map(([operator, values]) => {
      if (operator === 'like' || values.includes(null))
        throw bad(`having ${name}: expected a comparison with numbers`);
      const texts = values.map((value) => checkAgainst(`having ${name}`, measures[measure]!, value));
      return { measure, operator: operator as Having['operator'], values: texts };
    });
  });
}

// --- the same as query parameters -------------------------------------------------------------------------

/**
 * A condition is cut into what is compared, the comparison and the value. No expression here looks at a character more
 * than a few times, whatever is sent: conditions come from everybody who may read.
 */
interface CutCondition {
  name: string;
  sign: string;
  value: string;
}

const nameThenRest = /^([a-z][^\s=!<>]*)(.*)$/s;
const signThenValue = /^(>=|<=|!=|=|>|<)(.*)$/s;
const wordThenValue = /^(?:(in|like)\s(.*)|(is null|is not null))$/s;

function cutWhere(text: string): CutCondition | undefined {
  const [, name = '', rest = ''] = nameThenRest.exec(text) ?? [];
  const comparison = rest.trimStart();
  const [, sign, value = ''] = signThenValue.exec(comparison) ?? [];
  if (sign !== undefined) return { name, sign, value: value.trimStart() };
  // A word is one only with a blank before it.
  const [, word, words = '', isNull] = (comparison !== rest && wordThenValue.exec(comparison)) || [];
  return word === undefined && isNull === undefined
    ? undefined
    : { name, sign: word ?? isNull!, value: words.trimStart() };
}

/** A measure may hold signs itself: `count if type=data`. */
function cutHaving(measures: readonly string[]): (text: string) => CutCondition | undefined {
  const longestFirst = [...measures].sort((a, b) => b.length - a.length);
  return (text) => {
    const measure = longestFirst.find((known) => text.startsWith(known) && signOf(text.slice(known.length)));
    if (measure !== undefined) {
      const { sign, value } = signOf(text.slice(measure.length))!;
      return { name: measure, sign, value };
    }
    // None that is asked for: what it is called is told in the refusal.
    const [, name = '', rest = ''] = /^([^=!<>]*)(.*)$/s.exec(text) ?? [];
    const found = signOf(rest);
    return found && { name: name.trimEnd(), ...found };
  };
}

function signOf(text: string): { sign: string; value: string } | undefined {
  const [, sign, value = ''] = signThenValue.exec(text.trimStart()) ?? [];
  return sign === undefined ? undefined : { sign, value: value.trimStart() };
}

const operatorOfSign: Record<string, string> = {
  '=': 'eq',
  '!=': 'ne',
  '>': 'gt',
  '>=': 'gte',
  '<': 'lt',
  '<=': 'lte',
};

/** Every name a question has as query parameters. */
export const questionParameters = Object.keys(QuestionSchema.properties);

/**
 * A question from query parameters. Lists are separated by commas; `where` and `having` may be repeated:
 * `where=type=data`, `where=price>=10`, `where=type in data,voice`, `where=name like a%`, `where=plan is null`.
 */
export function questionFromParameters(
  parameters: Record<string, string | string[] | undefined>,
): AskedQuestion {
  const list = (name: string): string[] | undefined => {
    const given = parameters[name];
    if (given === undefined) return undefined;
    return (Array.isArray(given) ? given : [given]).flatMap(splitOutside);
  };
  const one = (name: string): string | undefined => {
    const given = parameters[name];
    if (Array.isArray(given)) throw bad(`${name} is given ${given.length} times; expected once`);
    return given;
  };
  const asked: Record<string, unknown> = {};
  for (const name of ['measures', 'by', 'order', 'after']) {
    const given = list(name);
    if (given !== undefined) asked[name] = given;
  }
  for (const name of ['every', 'tz', 'from', 'to', 'fill', 'known_at']) {
    const given = one(name);
    if (given !== undefined && given !== '') asked[name] = given;
  }
  const every = asked['every'];
  if (every !== undefined && !(everyNames as readonly unknown[]).includes(every)) {
    throw bad(`every is ${every}; expected one of ${everyNames.join(', ')}`);
  }
  if (asked['fill'] !== undefined && asked['fill'] !== 'zero')
    throw bad(`fill is ${asked['fill']}; expected zero`);
  for (const name of ['weights', 'share']) {
    const given = one(name);
    if (given !== undefined) asked[name] = jsonParameter(name, given);
  }
  const limit = one('limit');
  if (limit !== undefined) asked['limit'] = wholeNumber('limit', limit, limits.answer_rows);
  const where = conditionsFromParameters(parameters['where'], cutWhere, 'where=type=data');
  if (where) asked['where'] = where;
  const cut = cutHaving((asked['measures'] as string[] | undefined) ?? ['count']);
  const having = conditionsFromParameters(parameters['having'], cut, 'having=sum(price)>10');
  if (having) asked['having'] = having;
  return asked as AskedQuestion;
}

/** What has parts of its own comes as JSON as a query parameter, too. */
function jsonParameter(name: 'weights' | 'share' | string, text: string): unknown {
  const example = name === 'share' ? '{"of":"sum(price)","percent":10}' : '{"by":"type","of":{"data":"0.5"}}';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!Value.Check(name === 'share' ? ShareSchema : WeightsSchema, value))
    throw bad(`${name} is ${text}; expected JSON such as ${example}`);
  return value;
}

/** A whole number from 1 to max, of a query parameter. */
export function wholeNumber(name: string, text: string, max: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) throw bad(`${name} is ${text}; expected a whole number from 1 to ${max}`);
  return value;
}

function conditionsFromParameters(
  given: string | string[] | undefined,
  cut: (text: string) => CutCondition | undefined,
  example: string,
): Record<string, Record<string, unknown>> | undefined {
  if (given === undefined) return undefined;
  // With no prototype: a field may be called `constructor`.
  const conditions: Record<string, Record<string, unknown>> = Object.create(null);
  for (const text of Array.isArray(given) ? given : [given]) {
    if (text === '') continue;
    const found = cut(text);
    if (!found) throw bad(`"${text}" is no condition; expected one such as ${example}`);
    const { name, sign, value } = found;
    const operator = operatorOfSign[sign] ?? sign;
    conditions[name] ??= {};
    const target = conditions[name];
    const [key, parsed] =
      operator === 'is null'
        ? ['eq', null]
        : operator === 'is not null'
          ? ['ne', null]
          : operator === 'in'
            ? ['in', value.split(',').map((part) => part.trim())]
            : [operator, value];
    if (key in target)
      throw bad(`${name} has two conditions with the same comparison; expected one, or "in" with a list`);
    target[key] = parsed;
  }
  return conditions;
}

/** What a measure is made of that can be added up. */
export function addable(measure: Measure): Measure[] {
  if (measure.name === 'greatest') return measure.parts.flatMap(addable);
  if (measure.name !== 'avg') return [measure];
  // The values of a field that a rollup can average are never null, so that records can be counted.
  return [
    { ...measure, name: 'sum' },
    { ...countMeasure, only: measure.only },
  ];
}
