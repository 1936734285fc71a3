/**
 * From where a question is answered: the smallest rollup that answers it exactly, else rollups and the ledger together,
 * else the ledger.
 *
 * A rollup answers exactly when it keeps every sum that is asked, splits by every field that is asked or
 * compared, and its buckets add up to those of the question: same time zone, buckets that nest, and a from and
 * to that fall on their edges. What was known at a time, what was touched after one, smallest, largest and distinct
 * values are never in a rollup: they come from the ledger.
 *
 * Where only `from` or `to` stand in the way, the time is cut into pieces: whole buckets come from rollups, the longest
 * ones first, and what is left at the ends from the ledger. A sum up to a quarter past ten reads a row for each day
 * before, and the records of one morning.
 */
import {
  bucketStart,
  type Every,
  firstInstant,
  formatTimestamp,
  lastInstant,
  type Micros,
  nextBucket,
} from './calendar.ts';
import { TallybookError } from './errors.ts';
import type { Condition, Measure, Question } from './question.ts';
import type { StreamState } from './store.ts';
import type { Rollup, Stream } from './stream.ts';

export interface Plan {
  stream: Stream;
  question: Question;
  /** The one that answers all of it. */
  rollup: Rollup | undefined;
  /** Where none does, but some answer parts of it: what each answers, one after the other in time. Else empty. */
  pieces: Piece[];
}

/** A stretch of time, and what answers for it: a rollup, or the ledger. */
export interface Piece {
  rollup: Rollup | undefined;
  /** Inclusive; undefined: from the beginning. */
  from: Micros | undefined;
  /** Exclusive; undefined: to the end. */
  to: Micros | undefined;
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

const coarseness = Object.keys(nests) as Every[];

/** Throws `beyond_retention` when only dropped records could answer. */
export function planQuestion(stream: Stream, question: Question, state: StreamState): Plan {
  const { droppedBefore, rollupsCompleteFrom } = state;
  const startsBefore = (time: Micros | undefined) =>
    time !== undefined && (question.from === undefined || question.from < time);
  const fitting = stream.rollups
    .filter((rollup) => answers(rollup, question) && !startsBefore(rollupsCompleteFrom.get(rollup.name)))
    .sort((a, b) => a.by.length - b.by.length || coarseness.indexOf(b.every) - coarseness.indexOf(a.every));
  const rollup = fitting[0];
  const pieces = rollup ? [] : piecesOf(stream, question, state);
  if (!rollup && pieces.length === 0 && question.touchedAfter === undefined && startsBefore(droppedBefore)) {
    const since = formatTimestamp(droppedBefore!);
    throw new TallybookError(
      'beyond_retention',
      `records before ${since} have been dropped and no rollup answers this question; ask with from=${since} or later, or for what a rollup keeps`,
    );
  }
  return { stream, question, rollup, pieces };
}

/** What answers for a plan: its pieces, or all of it as one. */
export function sourcesOf({ rollup, pieces, question: { from, to } }: Plan): Piece[] {
  return pieces.length > 0 ? pieces : [{ rollup, from, to }];
}

/** What an answer comes from, in words: the longest buckets first, the ledger last. */
export function originOf(plan: Plan): string {
  const sources = sourcesOf(plan).map(({ rollup }) => rollup);
  const length = (of: Rollup | undefined) => (of ? coarseness.indexOf(of.every) : -1);
  const ordered = sources.sort((a, b) => length(b) - length(a));
  return [...new Set(ordered.map((of) => (of ? `rollup ${of.name}` : 'ledger')))].join(', ');
}

function piecesOf(stream: Stream, question: Question, state: StreamState): Piece[] {
  const { from, to, measures, share } = question;
  if (from === undefined && to === undefined) return [];
  // What is weighted is rounded, and a share is of a total: neither is put together from parts.
  if (share || measures.some(({ name }) => name === 'weighted')) return [];
  const usable = stream.rollups
    .filter((rollup) => rollup.every !== 'all' && nestsIn(rollup, question) && splitsAs(rollup, question))
    .sort((a, b) => coarseness.indexOf(b.every) - coarseness.indexOf(a.every) || a.by.length - b.by.length);
  const pieces = cover({ rollup: undefined, from, to }, usable, state);
  const dropped = state.droppedBefore;
  const lost = (piece: Piece) =>
    !piece.rollup && dropped !== undefined && (piece.from === undefined || piece.from < dropped);
  return pieces.some(({ rollup }) => rollup) && !pieces.some(lost) ? pieces : [];
}

/** Covers a stretch with the whole buckets of the first rollup, and its ends with the others. */
function cover(stretch: Piece, [rollup, ...finer]: Rollup[], state: StreamState): Piece[] {
  if (!rollup) return [stretch];
  const { from, to } = stretch;
  const first = from === undefined ? undefined : edgeFrom(from, rollup);
  const last = to === undefined ? undefined : bucketStart(to, rollup.every, rollup.tz);
  const complete = state.rollupsCompleteFrom.get(rollup.name);
  const lacking = complete !== undefined && (first === undefined || first < complete);
  const empty = first !== undefined && last !== undefined && first >= last;
  if (lacking || empty || ![first, last].every((edge) => edge === undefined || isEdge(edge, rollup)))
    return cover(stretch, finer, state);
  return [
    ...(first === from ? [] : cover({ rollup: undefined, from, to: first }, finer, state)),
    { rollup, from: first, to: last },
    ...(last === to ? [] : cover({ rollup: undefined, from: last, to }, finer, state)),
  ];
}

/** Where the first whole bucket at or after an instant starts. */
function edgeFrom(instant: Micros, { every, tz }: Rollup): Micros {
  const start = bucketStart(instant, every, tz);
  return start === instant ? start : nextBucket(start, every as Exclude<Every, 'all'>, tz);
}

/**
 * Whether a bucket begins at an instant, and all before it belongs to earlier ones: not so where clocks are put back by
 * half an hour, in a bucket of an hour.
 */
function isEdge(instant: Micros, { every, tz }: Rollup): boolean {
  const within = instant >= firstInstant && instant <= lastInstant;
  return within && bucketStart(instant, every, tz) === instant;
}

function answers(rollup: Rollup, question: Question): boolean {
  const { from, to, every } = question;
  if (!splitsAs(rollup, question) || !nests[rollup.every].includes(every)) return false;
  if (rollup.every === 'all') return from === undefined && to === undefined;
  return nestsIn(rollup, question) && [from, to].every((edge) => edge === undefined || isEdge(edge, rollup));
}

/** Whether whole buckets of the rollup add up to the buckets of the question. */
function nestsIn(rollup: Rollup, { every, tz }: Question): boolean {
  return nests[rollup.every].includes(every) && (every === 'all' || tz === rollup.tz);
}

/** Whether the rollup keeps the sums that are asked, for everything that is asked or compared. */
function splitsAs(rollup: Rollup, question: Question): boolean {
  if (question.knownAt !== undefined || question.touchedAfter !== undefined) return false;
  if (!question.measures.every((measure) => keeps(rollup, measure))) return false;
  const conditions = [...question.where, ...question.measures.flatMap(conditionsOf)];
  const weighed = question.measures.flatMap(({ weights }) => (weights ? [weights.by] : []));
  const dimensions = [
    ...question.by,
    ...conditions.map((condition) => condition.dimension),
    ...weighed.map((field) => ({ field, path: [] })),
  ];
  return dimensions.every(
    (d) => d.path.length === 0 && rollup.by.some((field) => field.name === d.field.name),
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
