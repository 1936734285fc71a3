/**
 * A share: only the fewest rows, from the largest on, that make up at least so many per cent of the whole. What the cut
 * is, is told by whole numbers: the sums in units of their last decimal.
 */
import { type Static, Type } from 'typebox';
import { TallybookError } from './errors.ts';
import type { Measure, Question } from './question.ts';

export const ShareSchema = Type.Object(
  {
    of: Type.String({ description: 'A measure of the question: a sum, or a weighted one.' }),
    percent: Type.Integer({ minimum: 1, maximum: 100 }),
  },
  {
    additionalProperties: false,
    description:
      'Only the fewest rows, from the largest, that make up at least so many per cent of the whole.',
  },
);
export type AskedShare = Static<typeof ShareSchema>;

export interface Share {
  /** Index into measures. */
  measure: number;
  percent: number;
}

/** What a row must come before, in units: rows are kept as long as those in front of them add up to less. */
export function unitsNeeded(total: bigint, percent: number): bigint {
  const hundredfold = total * BigInt(percent);
  return hundredfold <= 0n ? 0n : (hundredfold + 99n) / 100n;
}

/**
 * Rows below this, in units, need not be looked at, whatever they are: all of them together are less than what may be
 * left out. So most rows need not be sorted.
 */
export function unitsOfInterest(total: bigint, percent: number, rows: number): bigint {
  if (rows === 0 || total <= 0n) return 1n;
  const least = (total * BigInt(100 - percent)) / (100n * BigInt(rows));
  return least > 1n ? least : 1n;
}

/** Throws `bad_question`. The order of the answer is then that of the share: the largest first. */
export function checkShare(
  { of, percent }: AskedShare,
  {
    measures,
    by,
    every,
    having,
    after,
    fill,
  }: Pick<Question, 'measures' | 'by' | 'every' | 'having' | 'after' | 'fill'>,
  ordered: boolean,
): Share {
  const bad = (detail: string) => new TallybookError('bad_question', `share: ${detail}`);
  const measure = measures.findIndex(
    ({ text, name }: Measure) => text === of && (name === 'sum' || name === 'weighted'),
  );
  if (measure < 0)
    throw bad(`of is ${of}; expected a measure of the question that is a sum, or a weighted one`);
  if (by.length === 0 || every !== 'all') throw bad('expected "by", and no "every"');
  if (having.length > 0 || after || fill || ordered)
    throw bad(
      'it says itself which rows are there, and in which order; leave having, order, after and fill out',
    );
  return { measure, percent };
}
