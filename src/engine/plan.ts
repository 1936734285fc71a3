/**
 * From where a question is answered: the smallest rollup that answers it exactly, else the ledger.
 *
 * A rollup answers exactly when it keeps every sum that is asked, splits by every field that is asked or
 * compared, and its buckets add up to those of the question: same time zone, buckets that nest, and a from and
 * to that fall on their edges. What was known at a time, what was touched after one, smallest, largest and distinct
 * values are never in a rollup: they come from the ledger.
 */
import { bucketStart, type Every, formatTimestamp, type Micros } from './calendar.ts';
import { TallybookError } from './errors.ts';
import type { Condition, Measure, Question } from './question.ts';
import type { StreamState } from './store.ts';
import type { Rollup, Stream } from './stream.ts';

export interface Plan {
  stream: Stream;
  question: Question;
  /** Undefined: the ledger. */
  rollup: Rollup | undefined;
}

/** Buckets that a kept bucket adds up to. Weeks nest in nothing but everything. */
const nests: Record<Every, Every[]> = {
  minute: ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'all'],
  hour: ['hour', 'day', 'week', 'month', 'quarter', 'year', 'all'],
  day: ['day', 'week', 'month', 'quarter', 'year', 'all'],
  week: ['week', 'all'],
  month: ['month', 'quarter', 'year', 'all'],
  quarter: ['quarter', 'year', 'all'],
  year: ['year', 'all'],
  all: ['all'],
};

/** Throws `beyond_retention` when only dropped records could answer. */
export function planQuestion(stream: Stream, question: Question, state: StreamState): Plan {
  const coarseness = Object.keys(nests) as Every[];
  const { droppedBefore, rollupsCompleteFrom } = state;
  const startsBefore = (time: Micros | undefined) =>
    time !== undefined && (question.from === undefined || question.from < time);
  const fitting = stream.rollups
    .filter((rollup) => answers(rollup, question) && !startsBefore(rollupsCompleteFrom.get(rollup.name)))
    .sort((a, b) => a.by.length - b.by.length || coarseness.indexOf(b.every) - coarseness.indexOf(a.every));
  const rollup = fitting[0];
  if (!rollup && question.touchedAfter === undefined && startsBefore(droppedBefore)) {
    const since = formatTimestamp(droppedBefore!);
    throw new TallybookError(
      'beyond_retention',
      `records before ${since} have been dropped and no rollup answers this question; ask with from=${since} or later, or for what a rollup keeps`,
    );
  }
  return { stream, question, rollup };
}

function answers(rollup: Rollup, question: Question): boolean {
  if (question.knownAt !== undefined || question.touchedAfter !== undefined) return false;
  if (!question.measures.every((measure) => keeps(rollup, measure))) return false;
  const conditions = [...question.where, ...question.measures.flatMap(conditionsOf)];
  const weighed = question.measures.flatMap(({ weights }) => (weights ? [weights.by] : []));
  const dimensions = [
    ...question.by,
    ...conditions.map((condition) => condition.dimension),
    ...weighed.map((field) => ({ field, path: [] })),
  ];
  if (!dimensions.every((d) => d.path.length === 0 && rollup.by.some((field) => field.name === d.field.name)))
    return false;
  const { from, to, every, tz } = question;
  if (!nests[rollup.every].includes(every)) return false;
  if (rollup.every === 'all') return from === undefined && to === undefined;
  if (every !== 'all' && tz !== rollup.tz) return false;
  return [from, to].every(
    (edge) => edge === undefined || bucketStart(edge, rollup.every, rollup.tz) === edge,
  );
}

function conditionsOf({ only, parts }: Measure): Condition[] {
  return [...(only ? [only] : []), ...parts.flatMap(conditionsOf)];
}

function keeps(rollup: Rollup, measure: Measure): boolean {
  if (measure.name === 'count') return true;
  if (measure.name === 'greatest') return measure.parts.every((part) => keeps(rollup, part));
  const kept = rollup.sum.some((field) => field.name === measure.field?.name);
  if (measure.name === 'sum' || measure.name === 'weighted') return kept;
  // An average needs the number of values: that is the number of records only where none can be missing.
  return (
    measure.name === 'avg' &&
    kept &&
    (measure.field!.required === true || measure.field!.default !== undefined)
  );
}
