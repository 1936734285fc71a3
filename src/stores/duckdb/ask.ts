/** Answering a planned question, from the ledger or from a rollup: one statement, in one snapshot. */
import { answerColumns } from '../../engine/answer-columns.ts';
import { formatBucket, nextBucket } from '../../engine/calendar.ts';
import { averageExtraScale, fromScaled } from '../../engine/decimal.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Field } from '../../engine/field-types.ts';
import { leavesOutNoRecords } from '../../engine/having.ts';
import { originOf, type Piece, type Plan } from '../../engine/plan.ts';
import { addable, type Condition, type Having, type Measure, type Question } from '../../engine/question.ts';
import type { Answer, AsOf } from '../../engine/store.ts';
import type { Rollup, Stream } from '../../engine/stream.ts';
import { bucketExpression, bucketOutput, coarserBucket } from './buckets.ts';
import {
  comparedType,
  comparison,
  conditionSql,
  dimensionSql,
  outputSql,
  Parameters,
  selectionSql,
  trimDecimal,
} from './conditions.ts';
import type { Connection, Row } from './connection.ts';
import { addFewRows, canBeFewRows } from './few-rows.ts';
import { type Grouping, grouped } from './grouping.ts';
import type { SeqRange } from './id-filter.ts';
import type { StreamBooks } from './ledger-state.ts';
import { entriesWithin, rangesOf } from './lookup-filter.ts';
import { fieldValue, quote, rollupOf, sqlType } from './names.ts';
import { bucketType, isNarrow, overflowColumn, scaleOf, sumColumn } from './schema.ts';
import { askShare } from './share.ts';
import { filter, inUnits, signedSum } from './signed-sums.ts';
import { inSnapshot, knownCondition, touchedCondition } from './snapshot.ts';
import { standingEntries } from './standing.ts';
import { readWeighted, weightedOutput, weightedSum, weightsJoin } from './weighted.ts';
import {
  type Asked,
  canBeWidened,
  compared,
  comparesWide,
  isWide,
  readWide,
  widened,
  wideSum,
} from './wide.ts';

export type BooksRead = Pick<StreamBooks, 'hasReversals' | 'lookups' | 'nextSeq'>;

/** The last commit, as long as nobody commits. */
export type LastCommit = () => AsOf | undefined;

/**
 * In how many slices the groups of a share are put together, one after the other: each reads all rows, and needs memory for
 * its groups alone. 5 million groups of 100 million rows take more than 1 GB at once.
 */
const slicesTried = [1, 8, 64];

export async function ask(
  connection: Connection,
  plan: Plan,
  books: BooksRead,
  lastCommit: LastCommit,
  [slices, ...more]: readonly number[] = slicesTried,
): Promise<Answer> {
  const askWide = () => ask(connection, { ...plan, question: widened(plan.question) }, books, lastCommit);
  if (comparesWide(plan.question)) return askWide();
  try {
    return await answer(connection, plan, books, lastCommit, slices!);
  } catch (error) {
    if (isTooLong(error) && canBeWidened(plan.question)) return askWide();
    const short = error instanceof TallybookError && error.code === 'out_of_memory';
    const canBeSliced = plan.question.share !== undefined && plan.question.by.length > 0;
    if (!short || !canBeSliced || more.length === 0) throw error;
    return ask(connection, plan, books, lastCommit, more);
  }
}

function isTooLong(error: unknown): boolean {
  return error instanceof TallybookError && error.code === 'sum_out_of_range';
}

async function answer(
  connection: Connection,
  plan: Plan,
  books: BooksRead,
  lastCommit: LastCommit,
  slices: number,
): Promise<Answer> {
  const { question } = plan;
  const { found, as_of } = await inSnapshot(connection, isShort(plan), lastCommit, question.knownAt, () =>
    rowsOf(connection, plan, books, slices),
  );
  return {
    columns: answerColumns(question),
    rows: found.slice(0, question.limit).map((row) => readRow(question, row)),
    from: originOf(plan),
    as_of,
    more: found.length > question.limit,
  };
}

/** Whether it is about some keys of a rollup, but for the ends of its time. */
export function isShort({ question, rollup, pieces }: Plan): boolean {
  const { where, share, touchedAfter } = question;
  const ofRollup = rollup !== undefined || pieces.some((piece) => piece.rollup);
  return ofRollup && namesFewKeys(where) && share === undefined && touchedAfter === undefined;
}

/** Rows of so few keys are read with the columns for sums beyond 64 bits: to look whether there are any costs more. */
export const keysFew = 100;

function namesFewKeys(where: readonly Condition[]): boolean {
  return where.some(
    ({ operator, values }) => operator === 'eq' || (operator === 'in' && values.length <= keysFew),
  );
}

/** The rows of an answer, and one more where there are more. */
async function rowsOf(connection: Connection, plan: Plan, books: BooksRead, slices: number): Promise<Row[]> {
  const { question, rollup, stream, pieces } = plan;
  const parameters = new Parameters();
  const known =
    question.touchedAfter === undefined
      ? await knownCondition(connection, question.knownAt)
      : await touchedCondition(connection, question.touchedAfter);
  const source = (of: Rollup | undefined, asked: Asked): Promise<Grouping> =>
    sourceGrouping(connection, stream, of, asked, known, books, parameters);
  const grouping =
    pieces.length > 0 ? await piecesGrouping(question, pieces, source) : await source(rollup, question);
  const few = canBeFewRows(plan) && (await addFewRows(connection, question, grouping, parameters.values));
  if (few) return few;
  if (!question.share)
    return connection.askOnce(
      statement(question, grouping, parameters, await groupsOf(connection, plan, grouping, books)),
      parameters.values,
    );
  return askShare(connection, question, {
    selects: slicesSql(question, grouping, parameters, slices),
    parameters: parameters.values,
    output: outputOf(question, undefined),
  });
}

/** Rows of a rollup, or of the ledger. */
export async function sourceGrouping(
  connection: Connection,
  stream: Stream,
  rollup: Rollup | undefined,
  asked: Asked,
  known: string,
  { hasReversals, lookups }: BooksRead,
  parameters: Parameters,
  where = asked.where,
): Promise<Grouping> {
  const question = { ...asked, where };
  if (rollup) {
    const overflows = await holdsOverflows(connection, stream, rollup, asked);
    return rollupGrouping(stream, rollup, question, overflows, parameters);
  }
  const ranges = await rangesOf(connection, lookups, asked.where);
  return ledgerGrouping(stream, question, known, hasReversals, ranges, parameters);
}

/**
 * Rows put together from pieces of time. Each piece gives what can be added up, sums and counts; the measures are made of
 * their sums.
 */
async function piecesGrouping(
  question: Asked,
  pieces: Piece[],
  source: (of: Rollup | undefined, asked: Asked) => Promise<Grouping>,
): Promise<Grouping> {
  const parts = question.measures.flatMap(addable);
  const selects: string[] = [];
  for (const { rollup, from, to } of pieces) {
    const grouping = await source(rollup, { ...question, from, to, measures: parts });
    selects.push(`${grouped(grouping)[0]}, ${grouping.records} as r ${grouped(grouping)[1]}`);
  }
  let next = 0;
  const part = (): string => `coalesce(sum(e.m${next++}), 0)`;
  const measureOf = (measure: Measure): string => {
    if (measure.name === 'greatest') return `greatest(${measure.parts.map(measureOf).join(', ')})`;
    if (measure.name === 'avg') return average(part(), part());
    return measure.name === 'count' ? `${part()}::bigint` : part();
  };
  return {
    from: `(${selects.join(' union all ')}) e`,
    conditions: [],
    bucket: question.every === 'all' ? undefined : 'e.b',
    dimensions: question.by.map((_, i) => `e.d${i}`),
    measures: question.measures.map(measureOf),
    records: 'sum(e.r)',
  };
}

function ledgerGrouping(
  stream: Stream,
  question: Asked,
  known: string,
  hasReversals: boolean,
  ranges: readonly SeqRange[] | undefined,
  parameters: Parameters,
): Grouping {
  // What a sum cannot take back (the smallest, the largest, distinct values) is asked of the records that stand.
  const standing =
    hasReversals &&
    question.measures.some((m) => m.name === 'min' || m.name === 'max' || m.name === 'count_distinct');
  const signed = hasReversals && !standing && question.touchedAfter === undefined;
  const conditions = known === '' || standing ? [] : [known];
  return {
    from: `${standing ? standingEntries(stream, known) : entriesWithin(stream, ranges)} e ${weightsJoin(stream, question, parameters)}`,
    conditions: [...conditions, ...selectionSql(stream, question, parameters)],
    bucket:
      question.every === 'all'
        ? undefined
        : bucketExpression(`e.${quote(stream.time!.name)}`, question.every, question.tz),
    dimensions: question.by.map((dimension) => dimensionSql(stream, dimension, parameters)),
    measures: question.measures.map((measure) =>
      ledgerMeasure(stream, question, measure, signed, parameters),
    ),
    records: signed ? 'sum(e._sign)' : 'count(*)',
    ofRow: standing ? [] : question.measures.map((measure) => entryValue(stream, measure, signed)),
  };
}

/** What one entry adds to a sum or a count; of a sum with signs, where that is a whole number. */
function entryValue(stream: Stream, { name, field, only }: Measure, signed: boolean): string | undefined {
  if (only) return undefined;
  if (name === 'count') return signed ? 'e._sign' : '1';
  if (name !== 'sum' || (signed && field!.type !== 'integer')) return undefined;
  const value = fieldValue(stream, field!);
  return signed ? `(${value}::hugeint * e._sign)` : value;
}

function ledgerMeasure(
  stream: Stream,
  question: Asked,
  measure: Measure,
  signed: boolean,
  parameters: Parameters,
): string {
  if (measure.name === 'greatest') {
    const parts = measure.parts.map((part) => ledgerMeasure(stream, question, part, signed, parameters));
    return `greatest(${parts.join(', ')})`;
  }
  const sumOf = ({ field }: Measure, only: string[]): string =>
    question.wide
      ? wideSum(field!, fieldValue(stream, field!), signed, only)
      : signedSum(fieldValue(stream, field!), signed, only);
  if (measure.name === 'weighted') {
    const kept = fieldValue(stream, measure.field!);
    const value = question.wide ? inUnits(kept) : kept;
    return weightedSum(measure, question, {
      sum: (only) => sumOf(measure, only),
      value: signed ? `case when e._sign = 1 then ${value} else -${value} end` : value,
    });
  }
  const only = measure.only ? [conditionSql(stream, measure.only, parameters)] : [];
  if (measure.name === 'count')
    return signed ? `coalesce(sum(e._sign)${filter(only)}, 0)::bigint` : `count(*)${filter(only)}`;
  const value = fieldValue(stream, measure.field!);
  switch (measure.name) {
    case 'sum':
      return sumOf(measure, only);
    case 'avg':
      return average(
        signedSum(value, signed, only),
        signed
          ? `coalesce(sum(e._sign)${filter([...only, `${value} is not null`])}, 0)`
          : `count(${value})${filter(only)}`,
      );
    case 'count_distinct':
      return `count(distinct ${value})${filter(only)}`;
    default:
      return `${measure.name}(${value})${filter(only)}`;
  }
}

/** In units of the last decimal, rounded half away from zero, like engine/decimal.ts averageOf. */
function average(sum: string, count: string): string {
  const units = `cast(cast(replace(replace(cast(${sum} as varchar), '.', ''), '-', '') as decimal(38, 0)) as hugeint)`;
  return `case when ${count} = 0 then null else sign(${sum})::integer * ((2 * ${units} * ${10 ** averageExtraScale} + ${count}) // (2 * ${count})) end`;
}

/**
 * Whether a rollup holds sums beyond 64 bits of what is asked: nearly never, and adding up the columns for them takes a
 * third of a question's time. The zone maps tell: 0.6 ms for 54 million rows. What is asked next must see the same rows: a
 * compaction may make one large sum of two.
 */
async function holdsOverflows(
  connection: Connection,
  stream: Stream,
  rollup: Rollup,
  { measures, where, share }: Question,
): Promise<boolean> {
  if (namesFewKeys(where) && !share) return true;
  const asked = measures.flatMap((measure) => [measure, ...measure.parts]).map(({ field }) => field);
  const looks = [...new Set(asked)]
    .filter((field) => field !== undefined)
    .map((field) => `${overflowColumn(field)} ${isNarrow(field) ? '<> 0' : 'is not null'}`)
    .map((condition) => `(select 1 from ${rollupOf(stream, rollup)} where ${condition} limit 1)`);
  if (looks.length === 0) return true;
  return (await connection.askOnce(looks.join(' union all '))).length > 0;
}

function rollupGrouping(
  stream: Stream,
  rollup: Rollup,
  question: Asked,
  overflows: boolean,
  parameters: Parameters,
): Grouping {
  const asRow = (name: string) => `e.${quote(name)}`;
  const local = { ...stream, id: undefined } as Stream; // a rollup keeps the id, too, under its own name
  const conditions = selectionSql(local, { ...question, from: undefined, to: undefined }, parameters);
  const bucket = bucketType(rollup);
  for (const [edge, sign] of [
    [question.from, '>='],
    [question.to, '<'],
  ] as const) {
    if (edge === undefined || !bucket) continue;
    const value =
      bucket === 'date'
        ? parameters.add(formatBucket(edge, rollup.every, rollup.tz), 'date')
        : `make_timestamp(${parameters.add(edge, 'bigint')})`;
    conditions.push(`e._bucket ${sign} ${value}`);
  }
  const conditionsOf = ({ only }: Measure): string[] => (only ? [conditionSql(local, only, parameters)] : []);
  const onlyOf = (measure: Measure): string => filter(conditionsOf(measure));
  const sumOf = (measure: Measure): string => {
    if (measure.name === 'greatest') return `greatest(${measure.parts.map(sumOf).join(', ')})`;
    const field = measure.field!;
    const sum = question.wide ? keptWideSum : keptSum;
    if (measure.name !== 'weighted') return sum(field, conditionsOf(measure));
    return weightedSum(measure, question, {
      sum: (conditions) => sum(field, conditions),
      value: question.wide ? keptUnits(field) : keptValue(field),
    });
  };
  /** The sum that one row of the rollup keeps. */
  const keptValue = (field: Field): string => {
    const [kept, over] = [`e.${sumColumn(field)}`, `e.${overflowColumn(field)}`];
    if (!overflows) return kept;
    if (isNarrow(field)) return `(${kept} + coalesce(${over}, 0))`;
    return `(${kept} + case when ${over} is null then 0 else ${decimalOfUnits(field, over)} end)`;
  };
  const rowValue = (measure: Measure): string | undefined => {
    const { name, field, parts } = measure;
    if (question.wide) return undefined;
    const [only] = conditionsOf(measure);
    const meant = (value: string) => (only ? `case when ${only} then ${value} else 0 end` : value);
    if (name === 'sum') return meant(keptValue(field!));
    if (name === 'count') return meant('e._count');
    if (name === 'greatest') return `greatest(${parts.map(rowValue).join(', ')})`;
    return name === 'avg' && !only ? average(keptValue(field!), 'e._count') : undefined;
  };
  /** The same in units, of any length. */
  const keptUnits = (field: Field): string => {
    const [kept, over] = [`e.${sumColumn(field)}`, `e.${overflowColumn(field)}`];
    return isNarrow(field)
      ? inUnits(`(${kept} + coalesce(${over}, 0))`)
      : `(${inUnits(kept)} + coalesce(${over}, cast(0 as bignum)))`;
  };
  const keptWideSum = (field: Field, conditions: string[]): string => {
    const only = filter(conditions);
    const [kept, over] = [sumColumn(field), overflowColumn(field)].map(
      (column) => `coalesce(sum(e.${column})${only}, 0)`,
    );
    return isNarrow(field) ? inUnits(`(${kept} + ${over})`) : `(${inUnits(kept!)} + ${over})`;
  };
  const keptSum = (field: Field, conditions: string[]): string => {
    const only = filter(conditions);
    const kept = `coalesce(sum(e.${sumColumn(field)})${only}, 0)`;
    const over = `e.${overflowColumn(field)}`;
    const sumOver = `sum(${over})${only}`;
    if (!overflows) return kept;
    if (isNarrow(field)) return `(${kept} + coalesce(${sumOver}, 0))`;
    return `(${kept} + case when count(${over})${only} = 0 then 0 else ${decimalOfUnits(field, sumOver)} end)`;
  };
  return {
    from: `${rollupOf(stream, rollup)} e ${weightsJoin(local, question, parameters)}`,
    conditions,
    bucket:
      question.every === 'all'
        ? undefined
        : coarserBucket('e._bucket', rollup.every, question.every, question.tz),
    dimensions: question.by.map((dimension) => asRow(dimension.field.name)),
    measures: question.measures.map((measure) => {
      if (measure.name !== 'count' && measure.name !== 'avg') return sumOf(measure);
      const count = `coalesce(sum(e._count)${onlyOf(measure)}, 0)`;
      return measure.name === 'count'
        ? `${count}::bigint`
        : average(keptSum(measure.field!, conditionsOf(measure)), count);
    }),
    records: 'sum(e._count)',
    ofRow: question.measures.map(rowValue),
  };
}

/** From whole units of the last decimal, of any length: a point is put in, after zeros where there are too few digits. */
function decimalOfUnits(field: Field, value: string): string {
  const units = `replace(cast(${value} as varchar), '-', '')`;
  const digits = `(repeat('0', greatest(0, ${scaleOf(field) + 1} - length(${units}))) || ${units})`;
  const sign = `case when ${value} < cast(0 as bignum) then '-' else '' end`;
  const text = `${sign} || left(${digits}, -${scaleOf(field)}) || '.' || right(${digits}, ${scaleOf(field)})`;
  const whole = scaleOf(field) === 0 ? `cast(${value} as varchar)` : text;
  return `cast(${whole} as ${sqlType(field).replace(/\(\d+/, '(38')})`;
}

/** The groups of a question. */
function groupsSql(question: Asked, grouping: Grouping, parameters: Parameters): string {
  const { bucket, dimensions, measures, records } = grouping;
  // Of a group without records a share shows nothing: its sum is 0.
  const needsRecords = (bucket || dimensions.length > 0) && !question.share && !leavesOutNoRecords(question);
  const having = [...(needsRecords ? [`${records} <> 0`] : []), ...havingSql(question, measures, parameters)];
  return grouped(grouping, having).join(' ');
}

function havingSql(question: Asked, measures: readonly string[], parameters: Parameters): string[] {
  return question.having.map(({ measure, operator, values }) => {
    const { column, texts, type } = comparedWith(
      question,
      question.measures[measure]!,
      measures[measure]!,
      values,
    );
    return comparison(column, operator, texts, type, parameters);
  });
}

/**
 * The same where the rows of a rollup are its groups: those that a compaction has merged are taken as they are, but for the
 * keys of which rows came since; these are grouped. Which of a million subscriptions are over a limit takes 30 ms so among
 * 2 million rows, with 20,000 that came since; to group all took 304.
 */
function mergedSql(question: Asked, grouping: Grouping, parameters: Parameters): string {
  const { bucket, dimensions, from } = grouping;
  const ofRow = grouping.ofRow as string[];
  const { some, isOneOf } = someGroups(grouping, 'touched', 'e._merged = false');
  const columns = [
    ...(bucket ? [`${bucket} as b`] : []),
    ...dimensions.map((dimension, i) => `${dimension} as d${i}`),
    ...ofRow.map((measure, i) => `${measure} as m${i}`),
  ];
  const conditions = [
    ...grouping.conditions,
    'e._merged',
    'e._count <> 0',
    ...havingSql(question, ofRow, parameters),
  ];
  return `with ${some}
    select ${columns.join(', ')} from ${from} anti join touched r on ${isOneOf} where ${conditions.join(' and ')}
    union all
    ${groupsSql(question, { ...grouping, from: `${from} semi join touched r on ${isOneOf}` }, parameters)}`;
}

/**
 * The same where a group cannot reach a bound unless one of its rows does, once they are merged: only such groups are put
 * together, and those of which rows came since. Who is over a limit on any of two types: 100 ms of processor time among 2
 * million rows, not 460.
 */
function candidatesSql(reached: Having[]): typeof groupsSql {
  return (question, grouping, parameters) => {
    const reaches = havingSql({ ...question, having: reached }, grouping.ofRow as string[], parameters);
    const may = `(e._merged = false or (${reaches.join(' and ')}))`;
    const { some, isOneOf } = someGroups(grouping, 'candidates', may);
    const from = `${grouping.from} semi join candidates r on ${isOneOf}`;
    return `with ${some} ${groupsSql(question, { ...grouping, from }, parameters)}`;
  };
}

/** The keys of the groups of some rows, as a table; and how a row is found to be of one of them. */
function someGroups({ bucket, dimensions, conditions, from }: Grouping, name: string, which: string) {
  const keys = [...(bucket ? [bucket] : []), ...dimensions];
  return {
    some: `${name} as materialized (select distinct ${keys.map((key, i) => `${key} as k${i}`).join(', ')}
      from ${from} where ${[...conditions, which].join(' and ')})`,
    isOneOf: keys.map((key, i) => `${key} is not distinct from r.k${i}`).join(' and '),
  };
}

/** Of a stream of fewer records all groups are put together as soon as it is known that they need not be. */
const recordsGrouped = 50_000n;

/** How the groups of a plan are put together: what merged rows tell is used where nearly all are merged. */
async function groupsOf(
  connection: Connection,
  plan: Plan,
  { ofRow }: Grouping,
  { nextSeq }: BooksRead,
): Promise<typeof groupsSql> {
  const { stream, rollup, question } = plan;
  if (!rollup || nextSeq < recordsGrouped * 2n) return groupsSql;
  const { by, every, from, to, where, measures } = question;
  const isOneBucket =
    rollup.every === 'all' ||
    (from !== undefined && to !== undefined && nextBucket(from, rollup.every, rollup.tz) >= to);
  if (by.length === 0 || (every !== rollup.every && !isOneBucket)) return groupsSql;
  // Rows of a few keys are grouped in no time: they lie side by side.
  const ofKeys = ({ dimension: { field }, operator }: Condition) =>
    field.name === rollup.by[0]!.name && (operator === 'eq' || operator === 'in');
  if (where.some(ofKeys)) return groupsSql;
  const isOfRow = (measure: number) => ofRow?.[measure] !== undefined;
  const splitsByAll = rollup.by.every(({ name }) => by.some(({ field }) => field.name === name));
  const areGroups = splitsByAll && measures.every((_, i) => isOfRow(i));
  const reached = areGroups ? [] : reachedByRows(question, rollup).filter(({ measure }) => isOfRow(measure));
  if (!areGroups && reached.length === 0) return groupsSql;
  const table = rollupOf(stream, rollup);
  const [[rows, came] = []] = await connection.askOnce(
    `select (select count(*) from ${table})::double, (select count(*) from ${table} where _merged = false)::double`,
  );
  if ((came as number) * 4 >= (rows as number)) return groupsSql;
  return areGroups ? mergedSql : candidatesSql(reached);
}

/** What is asked of groups that only a row by itself can reach: a sum above zero of what has one row when it is merged. */
function reachedByRows({ by, where, having, measures }: Question, rollup: Rollup): Having[] {
  const fixed = ({ dimension, operator, values }: Condition) =>
    operator === 'eq' && values.length === 1 && dimension.path.length === 0 ? [dimension.field.name] : [];
  const split = new Set([...by.map(({ field }) => field.name), ...where.flatMap(fixed)]);
  const isOfOneRow = ({ name, only }: Measure) => {
    const known = new Set([...split, ...(only ? fixed(only) : [])]);
    return (name === 'sum' || name === 'count') && rollup.by.every((field) => known.has(field.name));
  };
  return having.filter(({ measure, operator, values: [bound = ''] }) => {
    const { name, parts } = measures[measure]!;
    const isAbove = (operator === 'gt' || operator === 'gte') && /^[0-9.]*[1-9]/.test(bound);
    return isAbove && (name === 'greatest' ? parts : [measures[measure]!]).every(isOfOneRow);
  });
}

/** The groups of a question in so many statements, each of which gives some of them. */
function slicesSql(question: Asked, grouping: Grouping, parameters: Parameters, slices: number): string[] {
  const { conditions, dimensions } = grouping;
  return Array.from({ length: slices }, (_, i) => {
    const only = slices === 1 ? [] : [`hash(${dimensions.join(', ')}) % ${slices} = ${i}`];
    return groupsSql(question, { ...grouping, conditions: [...conditions, ...only] }, parameters);
  });
}

/** What an answer shows of the columns of its groups. */
function outputOf(question: Asked, bucket: string | undefined): string[] {
  return [
    ...question.by.map((d, i) => outputSql(`d${i}`, d.path.length > 0 ? 'text' : d.field.type)),
    ...(bucket ? [bucketOutput('b', question.every)] : []),
    ...question.measures.map((m, i) => measureOutput(question, m, `m${i}`)),
  ];
}

function statement(
  question: Asked,
  grouping: Grouping,
  parameters: Parameters,
  groups: typeof groupsSql,
): string {
  const { bucket } = grouping;
  const columnOf = (name: string): string => {
    if (bucket && name === question.every) return 'b';
    const dimension = question.by.findIndex((d) => d.text === name);
    return dimension >= 0 ? `d${dimension}` : `m${question.measures.findIndex((m) => m.text === name)}`;
  };
  const order = question.order.map(
    ({ column, descending }) => `${columnOf(column)} ${descending ? 'desc' : 'asc'} nulls last`,
  );
  return `select ${outputOf(question, bucket).join(', ')} from (
      ${groups(question, grouping, parameters)}
    ) ${question.after ? `where ${afterSql(question, question.after, columnOf, parameters)}` : ''}
    ${order.length > 0 ? `order by ${order.join(', ')}` : ''} limit ${question.limit + 1}`;
}

/** Rows beyond a row, in the order of the question; nulls come last whatever the direction. */
function afterSql(
  question: Asked,
  after: (string | null)[],
  columnOf: (name: string) => string,
  parameters: Parameters,
): string {
  const { order, by, measures } = question;
  return order.reduceRight((rest, { column, descending }, index) => {
    const name = columnOf(column);
    const value = after[index]!;
    if (value === null) return `(${name} is null and ${rest})`;
    const dimension = by.find(({ text }) => text === column);
    const { texts, type } = dimension
      ? { texts: [value], type: comparedType(dimension) }
      : comparedWith(question, measures.find(({ text }) => text === column)!, name, [value]);
    const parameter = parameters.add(texts[0]!, type);
    const beyond = `${name} ${descending ? '<' : '>'} ${parameter} or ${name} is null`;
    return `(${beyond} or (${name} = ${parameter} and ${rest}))`;
  }, 'false');
}

/** The column of a measure, and values that it is compared with, in the column's units and type. */
function comparedWith(
  question: Asked,
  measure: Measure,
  column: string,
  values: string[],
): { column: string; texts: string[]; type: string } {
  if (isWide(measure, question)) return compared(column, measure, values);
  const { name, field } = measure;
  if (name === 'avg')
    return { column, texts: values.map((v) => scaledForAverage(v, scaleOf(field!))), type: 'hugeint' };
  const numeric =
    (name !== 'min' && name !== 'max') || field!.type === 'integer' || field!.type === 'decimal';
  return { column, texts: values, type: numeric ? numberType(values, 'decimal(38, 10)') : sqlType(field!) };
}

/** A decimal type that holds the values that are compared with, digit for digit. */
function numberType(values: string[], fallback: string): string {
  const scale = Math.max(0, ...values.map((value) => value.split('.')[1]?.length ?? 0));
  return values.length === 0 ? fallback : `decimal(38, ${Math.min(scale, 37)})`;
}

/** Averages are compared in their own units; more decimals than they have are cut towards zero. */
function scaledForAverage(value: string, scale: number): string {
  const [whole = '0', fraction = ''] = value.split('.');
  const digits = scale + averageExtraScale;
  return whole + fraction.slice(0, digits).padEnd(digits, '0');
}

function measureOutput(question: Asked, measure: Measure, column: string): string {
  if (isWide(measure, question)) return `cast(${column} as varchar)`;
  switch (measure.name) {
    case 'weighted':
      return weightedOutput(measure, question, column);
    case 'count':
    case 'count_distinct':
      return `${column}::double`;
    case 'avg':
      return `cast(${column} as varchar)`;
    default:
      return outputSql(column, measure.field!.type);
  }
}

function readRow(
  question: Asked,
  row: (string | number | bigint | boolean | null)[],
): (string | number | boolean | null)[] {
  const hasBucket = question.every !== 'all';
  const byCount = question.by.length;
  return row.map((value, i) => {
    if (value === null) return null;
    if (hasBucket && i === byCount) {
      return typeof value === 'bigint' ? formatBucket(value, question.every, question.tz) : String(value);
    }
    if (i < byCount) {
      const { field, path } = question.by[i]!;
      return field.type === 'decimal' && path.length === 0 ? trimDecimal(String(value)) : textOr(value);
    }
    const measure = question.measures[i - byCount - (hasBucket ? 1 : 0)]!;
    const { name, field } = measure;
    if (isWide(measure, question)) return readWide(measure, String(value));
    if (name === 'weighted') return readWeighted(measure, question, String(value));
    if (name === 'count' || name === 'count_distinct') return Number(value);
    if (name === 'avg') return fromScaled(BigInt(String(value)), scaleOf(field!) + averageExtraScale);
    return field!.type === 'decimal' ? trimDecimal(String(value)) : textOr(value);
  });
}

/** Integers are read as they are; in an answer they are texts. */
function textOr(value: string | number | bigint | boolean): string | boolean {
  return typeof value === 'boolean' ? value : String(value);
}
