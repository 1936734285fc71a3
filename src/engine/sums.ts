/**
 * Sums over stretches of time: of every key, over each of several stretches, all of one snapshot of the ledger. For what
 * is put together from many thousands of sums, such as how many people are in every space of a building: as rows of
 * texts they would take longer to write and read than to add up, so they come as columns of whole numbers.
 */
import { formatTimestamp, type Micros } from './calendar.ts';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import { type Plan, planQuestion } from './plan.ts';
import { type AskedQuestion, checkQuestion, checkSelection, type Measure } from './question.ts';
import type { Answer, AsOf, StreamState } from './store.ts';
import type { Stream } from './stream.ts';

export interface AskedStretch {
  /** Inclusive; undefined: from the beginning. */
  from: Micros | undefined;
  /** Exclusive; undefined: to the end. */
  to: Micros | undefined;
  /** Only of these keys; of all when undefined. */
  keys?: readonly string[];
}

export interface AskedSums {
  /** `count`, or the sum of an integer that is required. */
  measure: string;
  /** The field whose values are the keys: an integer that is required. */
  by: string;
  /** At least one. */
  stretches: readonly AskedStretch[];
  knownAt: Micros | undefined;
}

/**
 * Of one stretch. A key may stand there several times: its sums add up, and each of them must fit into 64 bits, else
 * `sum_out_of_range` is thrown. One whose sum is 0 may be missing.
 */
export interface KeySums {
  keys: BigInt64Array;
  sums: BigInt64Array;
}

export interface Sums {
  /** In the order in which they were asked. */
  stretches: KeySums[];
  from: string;
  as_of: AsOf;
}

/** A plan for each stretch. Throws `bad_question`. */
export function planSums(
  stream: Stream,
  { measure, by, stretches, knownAt }: AskedSums,
  state: StreamState,
): Plan[] {
  const whole = checkQuestion(stream, { measures: [measure], by: [by], limit: limits.answer_rows });
  const [{ name, field }] = whole.measures as [Measure];
  const plain = (of: typeof field) => of?.type === 'integer' && of.required === true;
  if (!plain(whole.by[0]!.field) || (name !== 'count' && !(name === 'sum' && plain(field))))
    throw new TallybookError(
      'bad_question',
      `${measure} by ${by}: expected count or the sum of a required integer, by a required integer`,
    );
  return stretches.map(({ from, to, keys }) => {
    const selection: AskedQuestion = {};
    if (keys) selection.where = { [by]: [...keys] };
    if (from !== undefined) selection.from = formatTimestamp(from);
    if (to !== undefined) selection.to = formatTimestamp(to);
    if (knownAt !== undefined) selection.known_at = formatTimestamp(knownAt);
    return planQuestion(stream, { ...whole, ...checkSelection(stream, selection) }, state);
  });
}

/** Where several answers come from, each told once. */
export function originsTogether(origins: readonly string[]): string {
  return [...new Set(origins.flatMap((origin) => origin.split(', ')))].join(', ');
}

/**
 * Sums from the answers to their plans, which must be of one snapshot. Throws `bad_question` when rows are missing,
 * `sum_out_of_range`.
 */
export function sumsOf(answers: readonly Answer[]): Sums {
  if (answers.some(({ more }) => more))
    throw new TallybookError('bad_question', `there are more than ${limits.answer_rows} keys`);
  return {
    stretches: answers.map(({ rows }) => ({
      keys: BigInt64Array.from(rows, ([key]) => BigInt(key as string)),
      sums: BigInt64Array.from(rows, ([, sum]) => inWord(BigInt(sum as string | number))),
    })),
    from: originsTogether(answers.map(({ from }) => from)),
    as_of: answers[0]!.as_of,
  };
}

function inWord(sum: bigint): bigint {
  if (BigInt.asIntN(64, sum) === sum) return sum;
  throw beyondWord();
}

/** A sum in a column of whole numbers. */
export function beyondWord(cause?: unknown): TallybookError {
  const detail = 'a sum does not fit into 64 bits; ask about fewer records at a time';
  return new TallybookError('sum_out_of_range', detail, { cause });
}
