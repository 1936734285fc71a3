/**
 * Answering a planned question, from the ledger or from a rollup, in one statement.
 *
 * What is measured is a whole number in SQL, in units of its last digit: nothing is rounded, and nothing overflows. Only
 * the smallest and largest of what is no sum keep the type of their field.
 */
import { answerColumns } from '../../engine/answer-columns.ts';
import {
  firstInstant,
  formatBucket,
  formatDate,
  lastInstant,
  type Micros,
  parseDate,
} from '../../engine/calendar.ts';
import { averageExtraScale, fromScaled, toScaled } from '../../engine/decimal.ts';
import type { Field } from '../../engine/field-types.ts';
import { leavesOutNoRecords } from '../../engine/having.ts';
import { originOf, type Piece, type Plan } from '../../engine/plan.ts';
import { addable, type Having, type Measure, type Question } from '../../engine/question.ts';
import { unitsNeeded } from '../../engine/share.ts';
import type { Answer } from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { weightScale } from '../../engine/weights.ts';
import { bucketExpression, coarserBucket } from './buckets.ts';
import {
  comparedType,
  comparison,
  conditionSql,
  dimensionSql,
  Parameters,
  selectionSql,
} from './conditions.ts';
import type { Connection } from './connection.ts';
import { asOf, knownCondition, type LedgerState, touchedCondition } from './ledger-state.ts';
import {
  type Cell,
  cellOf,
  entriesOf,
  fieldValue,
  quote,
  rollupOf,
  scaleOf,
  textOf,
  unitsOf,
} from './names.ts';
import { type Bounds, boundsOf } from './rollups.ts';
import { keptUnits } from './schema.ts';
import { instantOf, seen, standingConditions } from './standing.ts';

export async function ask(connection: Connection, state: LedgerState, plan: Plan): Promise<Answer> {
  const { stream, question, rollup, pieces } = plan;
  const parameters = new Parameters();
  const bounds = await zoneBounds(connection, state, plan);
  const source = (of: Rollup | undefined, asked: Question): Grouping =>
    of
      ? rollupGrouping(stream, of, asked, state, bounds, parameters)
      : ledgerGrouping(stream, asked, state, bounds, parameters);
  const grouping = pieces.length > 0 ? piecesGrouping(question, pieces, source) : source(rollup, question);
  const groups = groupsSql(question, grouping, parameters);
  const [rows, complete] = await Promise.all([
    question.share
      ? askShare(connection, question, groups, parameters)
      : connection.rows(statement(question, groups, parameters), parameters.values),
    asOf(connection, state, question.knownAt),
  ]);
  return {
    columns: answerColumns(question),
    rows: rows.slice(0, question.limit).map((row) => readRow(question, row)),
    from: originOf(plan),
    as_of: complete,
    more: rows.length > question.limit,
  };
}

/** Between which times everything lies that is put into buckets of a zone. */
async function zoneBounds(
  connection: Connection,
  state: LedgerState,
  { stream, question, pieces, rollup }: Plan,
): Promise<Bounds> {
  const { every, tz, from, to } = question;
  const [earliest, latest] = [from ?? firstInstant, to ?? lastInstant];
  if (every === 'all' || tz === 'UTC' || !stream.time) return { from: earliest, to: latest };
  if (from !== undefined && to !== undefined) return { from, to: to > from ? to : from };
  // Of buckets that a rollup keeps, hours and minutes alone are put into others.
  const kept = pieces.find((piece) => piece.rollup)?.rollup ?? rollup;
  if (rollup && rollup.every !== 'hour' && rollup.every !== 'minute') return { from: earliest, to: latest };
  if (!kept) return boundsOf(connection, stream, [state.visible()]);
  const [row] = await connection.rows(
    `select min(_bucket), max(_bucket) from ${rollupOf(stream, kept)} where ${state.visible()}`,
  );
  const [first, last] = row!;
  if (first === null || last === null) return { from: 0n, to: 0n };
  const unit = kept.every === 'hour' || kept.every === 'minute' ? 1n : 86_400_000_000n;
  const ofLedger = await boundsOf(connection, stream, [state.visible()]);
  const [low, high] = [BigInt(String(first)) * unit, (BigInt(String(last)) + 1n) * unit];
  return { from: low < ofLedger.from ? low : ofLedger.from, to: high > ofLedger.to ? high : ofLedger.to };
}

/** The parts of the statement: where rows come from, and what is grouped and measured. */
interface Grouping {
  from: string;
  conditions: string[];
  bucket: string | undefined;
  dimensions: string[];
  measures: string[];
  /** Number of standing records in a group. */
  records: string;
}

/**
 * Rows put together from pieces of time. Each piece gives what can be added up, sums and counts; the measures are made of
 * their sums.
 */
function piecesGrouping(
  question: Question,
  pieces: Piece[],
  source: (of: Rollup | undefined, asked: Question) => Grouping,
): Grouping {
  const parts = question.measures.flatMap(addable);
  const selects = pieces.map(({ rollup, from, to }) => {
    const grouping = source(rollup, { ...question, from, to, measures: parts });
    const [select, rest] = grouped(grouping);
    return `${select}, toInt64(${grouping.records}) as r ${rest}`;
  });
  let next = 0;
  const part = (): string => `sum(_e.m${next++})`;
  const measureOf = (measure: Measure): string => {
    if (measure.name === 'greatest') return `greatest(${measure.parts.map(measureOf).join(', ')})`;
    return measure.name === 'avg' ? average(part(), part()) : part();
  };
  return {
    from: `(${selects.join(' union all ')}) _e`,
    conditions: [],
    bucket: question.every === 'all' ? undefined : '_e.b',
    dimensions: question.by.map((_, i) => `_e.d${i}`),
    measures: question.measures.map(measureOf),
    records: 'sum(_e.r)',
  };
}

function ledgerGrouping(
  stream: Stream,
  question: Question,
  state: LedgerState,
  bounds: Bounds,
  parameters: Parameters,
): Grouping {
  const { touchedAfter, knownAt } = question;
  const known =
    touchedAfter === undefined
      ? seen(stream, state, knownCondition(knownAt))
      : seen(stream, state, touchedCondition(touchedAfter));
  // What a sum cannot take back (the smallest, the largest, distinct values) is asked of the records that stand.
  const standing = question.measures.some(
    ({ name }) => name === 'min' || name === 'max' || name === 'count_distinct',
  );
  const sign = standing || touchedAfter !== undefined ? '1' : '_e._sign';
  const value = (field: Field): string => unitsOf(field, fieldValue(stream, field));
  return {
    from: `${entriesOf(stream)} _e`,
    conditions: [
      ...(standing ? standingConditions(stream, known) : known),
      ...selectionSql(stream, question, parameters),
    ],
    bucket:
      question.every === 'all'
        ? undefined
        : bucketExpression(instantOf(stream), question.every, question.tz, bounds),
    dimensions: question.by.map((dimension) => dimensionSql(stream, dimension)),
    measures: question.measures.map((measure) =>
      measureSql(stream, measure, parameters, {
        units: (field) => `${sign} * ${value(field)}`,
        count: sign,
        counted: (field) => `${sign} * isNotNull(${fieldValue(stream, field)})`,
      }),
    ),
    records: `sum(${sign})`,
  };
}

/** How a row counts. */
interface RowValues {
  /** A field's value with its sign, in units. */
  units(field: Field): string;
  /** Records. */
  count: string;
  /** Records that have a value of the field. */
  counted(field: Field): string;
}

function measureSql(stream: Stream, measure: Measure, parameters: Parameters, row: RowValues): string {
  const { name, field, only, parts, weights } = measure;
  const conditions = only ? [conditionSql(stream, only, parameters)] : [];
  switch (name) {
    case 'greatest':
      return `greatest(${parts.map((part) => measureSql(stream, part, parameters, row)).join(', ')})`;
    case 'weighted': {
      const by = fieldValue(stream, weights!.by);
      const sums = weights!.classes.map(({ weight, values }) => {
        const meant = comparison(by, 'in', values, comparedType(weights!.by), parameters);
        return `toInt256(${sumOf(row.units(field!), [...conditions, meant])}) * toInt256('${toScaled(weight, weightScale)}')`;
      });
      return `(${sums.join(' + ')})`;
    }
    case 'count':
      return sumOf(row.count, conditions);
    case 'sum':
      return sumOf(row.units(field!), conditions);
    case 'avg':
      return average(sumOf(row.units(field!), conditions), sumOf(row.counted(field!), conditions));
    case 'count_distinct':
      return aggregate('uniqExact', fieldValue(stream, field!), conditions);
    default:
      // The smallest of nothing is null, also where a column holds none.
      return aggregate(name, `toNullable(${fieldValue(stream, field!)})`, conditions);
  }
}

function aggregate(name: string, value: string, conditions: string[]): string {
  return conditions.length === 0
    ? `${name}(${value})`
    : `${name}If(${value}, coalesce(${conditions.join(' and ')}, false))`;
}

/** The sum of nothing is 0. */
function sumOf(value: string, conditions: string[]): string {
  return `assumeNotNull(coalesce(${aggregate('sum', value, conditions)}, 0))`;
}

/** In units, rounded half away from zero, like engine/decimal.ts averageOf. */
function average(sum: string, count: string): string {
  const whole = `intDiv(toInt256(2) * abs(toInt256(${sum})) * ${10 ** averageExtraScale} + ${count}, toInt256(2) * greatest(toInt256(${count}), toInt256(1)))`;
  return `if(${count} = 0, null, sign(${sum}) * ${whole})`;
}

function rollupGrouping(
  stream: Stream,
  rollup: Rollup,
  question: Question,
  state: LedgerState,
  bounds: Bounds,
  parameters: Parameters,
): Grouping {
  // A rollup keeps an id that is text, too, under its own name.
  const local: Stream = { ...stream, id: undefined };
  const conditions = [
    state.visible(),
    ...selectionSql(local, { ...question, from: undefined, to: undefined }, parameters),
  ];
  for (const [edge, sign] of [
    [question.from, '>='],
    [question.to, '<'],
  ] as const)
    if (edge !== undefined && rollup.every !== 'all')
      conditions.push(`_e._bucket ${sign} ${keptBucket(edge, rollup)}`);
  return {
    from: `${rollupOf(stream, rollup)} _e`,
    conditions,
    bucket:
      question.every === 'all'
        ? undefined
        : coarserBucket('_e._bucket', rollup.every, question.every, question.tz, bounds),
    dimensions: question.by.map(({ field }) => `_e.${quote(field.name)}`),
    measures: question.measures.map((measure) =>
      measureSql(local, measure, parameters, {
        units: keptUnits,
        count: '_e._count',
        // A rollup averages fields alone that always have a value.
        counted: () => '_e._count',
      }),
    ),
    records: 'sum(_e._count)',
  };
}

/** The bucket that starts at an instant, as the rollup keeps it. */
function keptBucket(instant: Micros, { every, tz }: Rollup): bigint {
  if (every === 'hour' || every === 'minute') return instant;
  return BigInt(parseDate(formatBucket(instant, every, tz))!);
}

/**
 * A grouping as the two halves of a statement, between which further columns can stand: the bucket b, the dimensions
 * d0 …, the measures m0 …; and from where.
 */
function grouped({ bucket, dimensions, measures, conditions, from }: Grouping, having: string[] = []) {
  const keys = [
    ...(bucket ? [`${bucket} as b`] : []),
    ...dimensions.map((dimension, i) => `${dimension} as d${i}`),
  ];
  const names = [...(bucket ? ['b'] : []), ...dimensions.map((_, i) => `d${i}`)];
  const columns = [...keys, ...measures.map((measure, i) => `${measure} as m${i}`)];
  return [
    `select ${columns.join(', ')}`,
    `from ${from}
      ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
      ${names.length > 0 ? `group by ${names.join(', ')}` : ''}
      ${having.length > 0 ? `having ${having.join(' and ')}` : ''}`,
  ] as const;
}

/** The groups of a question. */
function groupsSql(question: Question, grouping: Grouping, parameters: Parameters): string {
  const { bucket, dimensions, records } = grouping;
  const needsRecords = (bucket || dimensions.length > 0) && !leavesOutNoRecords(question);
  const having = [
    ...(needsRecords ? [`${records} != 0`] : []),
    ...question.having.map((one) => havingSql(question.measures[one.measure]!, one, parameters)),
  ];
  return grouped(grouping, having).join(' ');
}

function havingSql(
  measure: Measure,
  { measure: index, operator, values }: Having,
  parameters: Parameters,
): string {
  return comparedMeasure(measure, `m${index}`, operator, values, parameters);
}

/** Digits after the point of a measure's units; undefined where it keeps the type of its field. */
function measureScale({ name, field }: Measure): number | undefined {
  switch (name) {
    case 'count':
    case 'count_distinct':
      return 0;
    case 'sum':
    case 'greatest':
      return scaleOf(field!);
    case 'avg':
      return scaleOf(field!) + averageExtraScale;
    case 'weighted':
      return scaleOf(field!) + weightScale;
    default:
      return undefined;
  }
}

function comparedMeasure(
  measure: Measure,
  column: string,
  operator: Having['operator'],
  values: string[],
  parameters: Parameters,
): string {
  const scale = measureScale(measure);
  const { field } = measure;
  if (scale === undefined && field!.type !== 'integer' && field!.type !== 'decimal') {
    const texts = values.map((value) => String(cellOf(field!, value)));
    return comparison(column, operator, texts, comparedType(field!), parameters);
  }
  const units = scale === undefined ? unitsOf(field!, column) : column;
  return comparedUnits(`toInt256(${units})`, operator, values, scale ?? scaleOf(field!), column);
}

/** Beyond these no value is; a bound further out says the same. */
const farthest = 10n ** 76n;

/** Whole units compare with what lies between two of them, too. */
function comparedUnits(
  units: string,
  operator: Having['operator'],
  values: string[],
  scale: number,
  column: string,
): string {
  const bound = (text: string): { floor: bigint; exact: boolean } => {
    const decimals = Math.max(scale, text.split('.')[1]?.length ?? 0);
    const cut = 10n ** BigInt(decimals - scale);
    const scaled = toScaled(text, decimals);
    const rest = ((scaled % cut) + cut) % cut;
    const floor = (scaled - rest) / cut;
    if (floor >= farthest) return { floor: farthest, exact: false };
    return floor <= -farthest ? { floor: -farthest, exact: false } : { floor, exact: rest === 0n };
  };
  const one = (floor: bigint) => `toInt256('${floor}')`;
  const equals = values.map(bound).filter(({ exact }) => exact);
  const [first] = values.map(bound);
  switch (operator) {
    case 'eq':
    case 'in':
      return equals.length === 0
        ? 'false'
        : `${units} in (${equals.map(({ floor }) => one(floor)).join(', ')})`;
    case 'ne':
      return first!.exact ? `(isNull(${column}) or ${units} != ${one(first!.floor)})` : 'true';
    case 'gt':
      return `${units} > ${one(first!.floor)}`;
    case 'gte':
      return `${units} ${first!.exact ? '>=' : '>'} ${one(first!.floor)}`;
    case 'lt':
      return `${units} ${first!.exact ? '<' : '<='} ${one(first!.floor)}`;
    case 'lte':
      return `${units} <= ${one(first!.floor)}`;
  }
}

/** What an answer shows of the columns of its groups. */
function outputOf({ by, every, measures }: Question): string {
  const bucket = every === 'all' ? [] : ['b'];
  return [...by.map((_, i) => `d${i}`), ...bucket, ...measures.map((_, i) => `m${i}`)].join(', ');
}

function statement(question: Question, groups: string, parameters: Parameters): string {
  const order = question.order.map(
    ({ column, descending }) => `${columnOf(question, column)} ${descending ? 'desc' : 'asc'} nulls last`,
  );
  return `select ${outputOf(question)} from (
      ${groups}
    ) ${question.after ? `where ${afterSql(question, question.after, parameters)}` : ''}
    ${order.length > 0 ? `order by ${order.join(', ')}` : ''} limit ${question.limit + 1}`;
}

function columnOf({ every, by, measures }: Question, name: string): string {
  if (every !== 'all' && name === every) return 'b';
  const dimension = by.findIndex(({ text }) => text === name);
  return dimension >= 0 ? `d${dimension}` : `m${measures.findIndex(({ text }) => text === name)}`;
}

/** Rows beyond a row, in the order of the question; nulls come last whatever the direction. */
function afterSql(question: Question, after: (string | null)[], parameters: Parameters): string {
  return question.order.reduceRight((rest, { column, descending }, index) => {
    const name = columnOf(question, column);
    const value = after[index]!;
    if (value === null) return `(isNull(${name}) and ${rest})`;
    const compare = (operator: 'lt' | 'gt' | 'eq'): string => {
      const dimension = question.by.find(({ text }) => text === column);
      if (!dimension) {
        const measure = question.measures.find(({ text }) => text === column)!;
        return comparedMeasure(measure, name, operator, [value], parameters);
      }
      const { field, path } = dimension;
      const [text, type] =
        path.length > 0 ? [value, 'String'] : [String(cellOf(field, value)), comparedType(field)];
      return comparison(name, operator, [text], type, parameters);
    };
    return `(${compare(descending ? 'lt' : 'gt')} or isNull(${name}) or (${compare('eq')} and ${rest}))`;
  }, 'false');
}

/** The share of a question (engine/share.ts): the fewest rows that make up so many per cent of the whole. */
async function askShare(
  connection: Connection,
  question: Question,
  groups: string,
  parameters: Parameters,
): Promise<Cell[][]> {
  const { measure, percent } = question.share!;
  const units = `toInt256(m${measure})`;
  const [row] = await connection.rows(`select sum(${units}) from (${groups})`, parameters.values);
  const needed = unitsNeeded(BigInt(String(row![0] ?? 0)), percent);
  const order = [`m${measure} desc`, ...question.by.map((_, i) => `d${i} asc nulls last`)].join(', ');
  return connection.rows(
    `select ${outputOf(question)} from (
      select *, sum(${units}) over (order by ${order} rows between unbounded preceding and current row) - ${units} as before
      from (${groups}))
    where before < toInt256('${needed}') order by ${order} limit ${question.limit + 1}`,
    parameters.values,
  );
}

function readRow(question: Question, row: Cell[]): (string | number | boolean | null)[] {
  const { by, every, tz, measures } = question;
  const hasBucket = every !== 'all';
  return row.map((cell, i) => {
    if (cell === null) return null;
    if (hasBucket && i === by.length)
      return every === 'hour' || every === 'minute'
        ? formatBucket(BigInt(String(cell)), every, tz)
        : formatDate(Number(cell));
    if (i < by.length) {
      const { field, path } = by[i]!;
      return path.length === 0 && field.type === 'boolean'
        ? (cell as boolean)
        : path.length === 0
          ? textOf(field, cell)
          : String(cell);
    }
    const measure = measures[i - by.length - (hasBucket ? 1 : 0)]!;
    if (measure.name === 'count' || measure.name === 'count_distinct') return Number(cell);
    const scale = measureScale(measure);
    return scale === undefined ? textOf(measure.field!, cell) : fromScaled(BigInt(String(cell)), scale);
  });
}
