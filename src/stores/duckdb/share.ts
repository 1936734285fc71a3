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
import { type Bounds, type Units, unitsOf } from './weighted.ts';

/** So many beginnings are tried at a time, each half of the one before. */
const startsTried = 6n;

export interface Groups {
  /** Each gives some groups: the columns d0, d1 … of their dimensions and m0, m1 … of their measures. */
  selects: readonly string[];
  parameters: readonly Parameter[];
  /** What the answer shows of these columns. */
  output: string[];
}

export async function askShare(connection: Connection, question: Question, groups: Groups): Promise<Row[]> {
  const { measure, percent } = question.share!;
  let units = unitsOf(question.measures[measure]!, question);
  const column = `m${measure}`;
  try {
    for (const [i, select] of groups.selects.entries()) {
      const into = i === 0 ? 'create or replace temp table shared as' : 'insert into shared';
      await connection.askOnce(`${into} ${select}`, groups.parameters);
    }
    const laidDown = units.parts(column);
    const [[rows, positive, ...most] = []] = await connection.askOnce(`select count(*)::double,
      (count(*) filter (where ${laidDown.map((part) => `${part} > 0`).join(' or ')}))::double,
      ${laidDown.map((part) => `cast(coalesce(max(abs(${part})), 0) as varchar)`).join(', ')} from shared`);
    const bounds = units.bounds(column, rows as number, most as string[]);
    if (!bounds && units.multiplied) {
      await connection.execute(
        `create or replace temp table multiplied as select * replace (${units.value(column)} as ${column}) from shared;
         drop table shared; alter table multiplied rename to shared`,
      );
      units = units.multiplied;
    }
    const parts = units.parts(column).map((part) => `cast(coalesce(sum(${part}), 0) as varchar)`);
    const [sums] = await connection.askOnce(`select ${parts.join(', ')} from shared`);
    const total = units.whole(sums as string[]);
    const needed = unitsNeeded(total, percent);
    const least = unitsOfInterest(total, percent, positive as number);
    const start = bounds
      ? await startOf(connection, {
          units,
          bounds,
          column,
          most: units.whole(most as string[]),
          least,
          needed,
        })
      : least;
    const mayMatter = bounds
      ? `${units.mayReach(column, start)} and ${bounds.upper} >= ${bounds.literal(start / bounds.size)}`
      : `${column} >= ${units.literal(least)}`;
    const values = question.measures.flatMap((one, i) =>
      one.name === 'weighted'
        ? [`${(i === measure ? units : unitsOf(one, question)).value(`m${i}`)} as m${i}`]
        : [],
    );
    const shown = values.length > 0 ? `* replace (${values.join(', ')})` : '*';
    const order = [`${column} desc`, ...question.by.map((_, i) => `d${i} asc nulls last`)].join(', ');
    const before = units
      .columns(column)
      .map(
        (part) =>
          `coalesce(sum(${part}) over (order by ${order} rows between unbounded preceding and 1 preceding), 0)`,
      );
    const names = before.map((_, i) => `b${i}`);
    return await connection.askOnce(`select ${groups.output.join(', ')}
      from (select *, ${before.map((sum, i) => `${sum} as ${names[i]}`).join(', ')}
        from (select ${shown} from shared where ${mayMatter}))
      where ${units.ofColumns(names)} < ${units.literal(needed)}
      order by ${order} limit ${question.limit + 1}`);
  } finally {
    // After an error it goes with the transaction, in which nothing more can be done.
    await connection.execute('drop table if exists shared').catch(() => undefined);
  }
}

interface Laid {
  units: Units;
  bounds: Bounds;
  column: string;
  /** No row has more. */
  most: bigint;
  least: bigint;
  needed: bigint;
}

/**
 * A value, in units, that no row of the share is below: `least`, or a larger one, so that the rows which surely have as much
 * still make up what is needed. Looked for from the largest value down, a few at a time, because a share mostly ends where
 * few rows have as much. To try 48 at once, from the least up, took 375 ms for 2 million groups, not 50; a sample of them
 * tells little, because one of the largest in it makes up all of its share.
 */
async function startOf(connection: Connection, laid: Laid): Promise<bigint> {
  const { units, bounds, column, most, least, needed } = laid;
  const { lower, size, literal, read } = bounds;
  const atLeast = (start: bigint) => `x >= ${literal(start / size + 1n)}`;
  for (let next = most / 2n; next > least; next >>= startsTried) {
    const starts = Array.from({ length: Number(startsTried) }, (_, i) => next >> BigInt(i));
    const tried = starts.filter((start) => start > least);
    const last = tried.at(-1)!;
    const sums = tried.map(
      (start) => `cast(coalesce(sum(x) filter (where ${atLeast(start)}), 0) as varchar)`,
    );
    const [row] = await connection.askOnce(
      `select ${sums.join(', ')} from (select ${lower} as x from shared where ${units.mayReach(column, last)})
       where ${atLeast(last)}`,
    );
    const found = tried.find((_, i) => read(row![i] as string) * size >= needed);
    if (found !== undefined) return found;
  }
  return least;
}
