/**
 * The share of a question (engine/share.ts): the fewest rows that make up so many per cent of the whole.
 *
 * A running sum over all rows in order takes 1.5 s for 3 million of them. So the groups are laid down, the whole is added
 * up, and what it says of the rows that cannot matter leaves most of them out of the sorting. All of it is whole
 * numbers: units of the last digit.
 */
import type { Question } from '../../engine/question.ts';
import { unitsNeeded, unitsOfInterest } from '../../engine/share.ts';
import type { Connection, Parameter, Row } from './connection.ts';
import { unitsOf } from './weighted.ts';

export interface Groups {
  /** Gives the columns d0, d1 … of the dimensions and m0, m1 … of the measures. */
  select: string;
  parameters: readonly Parameter[];
  /** What the answer shows of these columns. */
  output: string[];
}

export async function askShare(connection: Connection, question: Question, groups: Groups): Promise<Row[]> {
  const { measure, percent } = question.share!;
  const units = unitsOf(question.measures[measure]!, question);
  const column = `m${measure}`;
  await connection.askOnce(`create or replace temp table shared as ${groups.select}`, groups.parameters);
  try {
    const sums = units.columns(column).map((part) => `cast(coalesce(sum(${part}), 0) as varchar)`);
    const [[positive, ...texts] = []] = await connection.askOnce(
      `select (count(*) filter (where ${column} > ${units.literal(0n)}))::double, ${sums.join(', ')} from shared`,
    );
    const total = units.read(texts as string[]);
    const least = unitsOfInterest(total, percent, positive as number);
    const order = [`${column} desc`, ...question.by.map((_, i) => `d${i} asc nulls last`)].join(', ');
    const before = units
      .columns(column)
      .map(
        (part) =>
          `coalesce(sum(${part}) over (order by ${order} rows between unbounded preceding and 1 preceding), 0)`,
      );
    const names = before.map((_, i) => `b${i}`);
    return await connection.askOnce(`select ${groups.output.join(', ')}
      from (select *, ${before.map((sum, i) => `${sum} as ${names[i]}`).join(', ')} from shared where ${column} >= ${units.literal(least)})
      where ${units.value(names)} < ${units.literal(unitsNeeded(total, percent))}
      order by ${order} limit ${question.limit + 1}`);
  } finally {
    await connection.execute('drop table if exists shared');
  }
}
