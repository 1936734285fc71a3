/**
 * Answers: the records that stand and are selected, put into groups, each group measured.
 *
 * The plan's rollup changes nothing but the records that are still counted: a rollup keeps the sums of
 * records that retention has dropped, so those are counted with the others. No sum is kept anywhere. A question about
 * what was touched groups lines, whether they stand or not.
 */
import { answerColumns, measureColumn } from '../../engine/answer-columns.ts';
import { bucketStart, formatBucket, type Micros } from '../../engine/calendar.ts';
import { compareValues } from '../../engine/compare-values.ts';
import { toScaled } from '../../engine/decimal.ts';
import { originOf, type Piece, type Plan, sourcesOf } from '../../engine/plan.ts';
import type { Having, Measure, Question } from '../../engine/question.ts';
import { type Share, unitsNeeded } from '../../engine/share.ts';
import { timeOf, type Values } from '../../engine/stage-record.ts';
import type { Answer } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { dimensionType, dimensionValue, fits, selects } from './compare.ts';
import { asOf, type Ledger, type Line, standingLines, streamLedger } from './ledger.ts';
import { measureOf } from './measure.ts';

interface Group {
  dimensions: (string | null)[];
  /** Start of the bucket. */
  bucket: Micros;
  records: Values[];
}

interface Result extends Group {
  measures: (string | null)[];
}

export function ask(ledger: Ledger, plan: Plan): Answer {
  const { stream, question } = plan;
  const records = sourcesOf(plan).flatMap((piece) => countedIn(ledger, stream, question, piece));
  const found = groupsOf(stream, question, records)
    .map(
      (group): Result => ({
        ...group,
        measures: question.measures.map((measure) => measureOf(measure, group.records)),
      }),
    )
    .filter((result) => question.having.every((having) => passes(question.measures, having, result)))
    .filter(
      (result) => !question.after || compareResults(question, result, rowAt(question, question.after)) > 0,
    )
    .sort((a, b) => compareResults(question, a, b));
  const results = question.share ? shareOf(question.share, found) : found;
  return {
    columns: answerColumns(question),
    rows: results.slice(0, question.limit).map((result) => rowOf(question, result)),
    from: originOf(plan),
    as_of: asOf(ledger, question.knownAt),
    more: results.length > question.limit,
  };
}

/** The first rows, as long as those in front of them make up less than the share. */
function shareOf({ measure, percent }: Share, results: Result[]): Result[] {
  const texts = results.map(({ measures }) => measures[measure]!);
  const scale = Math.max(0, ...texts.map((text) => text.split('.')[1]?.length ?? 0));
  const units = texts.map((text) => toScaled(text, scale));
  const needed = unitsNeeded(
    units.reduce((sum, one) => sum + one, 0n),
    percent,
  );
  let before = 0n;
  return results.filter((_, index) => {
    const kept = before < needed;
    before += units[index]!;
    return kept;
  });
}

/** The lines that count within a piece of a question's time. */
function countedIn(
  ledger: Ledger,
  stream: Stream,
  { where, knownAt, touchedAfter }: Question,
  { rollup, from, to }: Piece,
): Line[] {
  const kept = streamLedger(ledger, stream);
  const lines = rollup ? [...(kept.droppedLines.get(rollup.name) ?? []), ...kept.lines] : kept.lines;
  const counted =
    touchedAfter === undefined
      ? standingLines(lines, knownAt)
      : lines.filter((line) => line.recordedAt > touchedAfter);
  return counted.filter((line) => selects(stream, { where, from, to }, line));
}

/** Groups with no record are not there; a question that does not split at all has its one group always. */
function groupsOf(stream: Stream, { by, every, tz }: Question, lines: Line[]): Group[] {
  const groups = new Map<string, Group>();
  if (by.length === 0 && every === 'all') groups.set('[["0"]]', { dimensions: [], bucket: 0n, records: [] });
  for (const line of lines) {
    const dimensions = by.map((dimension) => dimensionValue(dimension, line.values));
    const bucket = every === 'all' ? 0n : bucketStart(timeOf(stream, line)!, every, tz);
    const key = JSON.stringify([[...dimensions, String(bucket)]]);
    const group = groups.get(key) ?? { dimensions, bucket, records: [] };
    group.records.push(line.values);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function passes(measures: Measure[], { measure, operator, values }: Having, result: Result): boolean {
  return fits(measureColumn(measures[measure]!).type, result.measures[measure]!, operator, values);
}

/** By the columns of `order`; nulls come last in both directions. */
function compareResults(question: Question, a: Result, b: Result): number {
  for (const { column, descending } of question.order) {
    const compared = compareInColumn(question, column, a, b, descending);
    if (compared !== 0) return compared;
  }
  return 0;
}

/** A row that has these values in the columns of the order. */
function rowAt({ order, by, measures }: Question, after: (string | null)[]): Result {
  const valueIn = ({ text }: { text: string }) =>
    after[order.findIndex(({ column }) => column === text)] ?? null;
  return { dimensions: by.map(valueIn), measures: measures.map(valueIn), bucket: 0n, records: [] };
}

function compareInColumn(
  question: Question,
  column: string,
  a: Result,
  b: Result,
  descending: boolean,
): number {
  const direction = descending ? -1 : 1;
  if (column === question.every && column !== 'all') {
    return a.bucket === b.bucket ? 0 : a.bucket < b.bucket ? -direction : direction;
  }
  const dimension = question.by.findIndex(({ text }) => text === column);
  const measure = question.measures.findIndex(({ text }) => text === column);
  const of = (result: Result) => (dimension >= 0 ? result.dimensions[dimension]! : result.measures[measure]!);
  const [x, y] = [of(a), of(b)];
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  const type =
    dimension >= 0 ? dimensionType(question.by[dimension]!) : measureColumn(question.measures[measure]!).type;
  return direction * compareValues(type, x, y);
}

function rowOf(question: Question, { dimensions, bucket, measures }: Result): Answer['rows'][number] {
  const texts = [
    ...dimensions,
    ...(question.every === 'all' ? [] : [formatBucket(bucket, question.every, question.tz)]),
    ...measures,
  ];
  return answerColumns(question).map(({ type }, index) => {
    const text = texts[index]!;
    if (text === null) return null;
    if (type === 'count') return Number(text);
    return type === 'boolean' ? text === 'true' : text;
  });
}
