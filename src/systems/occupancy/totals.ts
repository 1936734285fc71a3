/**
 * Sums over stretches of time. A count is made of many: each sensor of a space from when it was hung there, or from the
 * last reset, up to an instant. Most of them begin and end alike, so they are asked together, one question for all sensors
 * with the same stretch; the planner takes whole days from the rollup, and only the records of the days at the ends.
 */
import { formatTimestamp, lastInstant, type Micros } from '../../engine/calendar.ts';
import { limits } from '../../engine/limits.ts';
import type { AsOf } from '../../engine/store.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { passagesStream } from './streams.ts';

/** More sensors than these are not named in a question: it is asked for all. */
const sensorsNamed = 2_000;
/** Questions of one answer that did not see the same commit are asked again, this often. */
const attempts = 3;

export interface Origin {
  from: string;
  as_of: AsOf;
}

interface Stretch {
  from: Micros | undefined;
  to: Micros | undefined;
  /** By sensor: what its sum is added to, and how often. */
  uses: Map<string, { total: number; times: number }[]>;
}

export class Totals {
  readonly #stretches = new Map<Micros | undefined, Map<Micros | undefined, Stretch>>();

  /** The sum of a sensor from (inclusive) to (exclusive) is added to a total, so many times. */
  add(total: number, dpu: string, from: Micros | undefined, to: Micros | undefined, times: number): void {
    if (times === 0 || (from !== undefined && to !== undefined && from >= to)) return;
    let starting = this.#stretches.get(from);
    if (!starting) {
      starting = new Map();
      this.#stretches.set(from, starting);
    }
    let stretch = starting.get(to);
    if (!stretch) {
      stretch = { from, to, uses: new Map() };
      starting.set(to, stretch);
    }
    const uses = stretch.uses.get(dpu);
    if (uses) uses.push({ total, times });
    else stretch.uses.set(dpu, [{ total, times }]);
  }

  /** Asks for all of them. `totals` is added to; returns where the figures come from, undefined when there are none. */
  async addUp(
    tallybook: Tallybook,
    measure: 'sum(direction)' | 'count',
    knownAt: Micros | undefined,
    totals: number[],
  ): Promise<Origin | undefined> {
    const stretches = [...this.#stretches.values()].flatMap((starting) => [...starting.values()]);
    for (let attempt = 1; ; attempt++) {
      const answers = await Promise.all(
        stretches.map((stretch) => asked(tallybook, stretch, measure, knownAt)),
      );
      const batches = new Set(answers.map(({ as_of }) => as_of.batch));
      if (batches.size > 1 && attempt < attempts) continue;
      for (const [index, { rows }] of answers.entries()) {
        const { uses } = stretches[index]!;
        for (const [dpu, sum] of rows)
          for (const { total, times } of uses.get(dpu as string) ?? []) totals[total]! += times * Number(sum);
      }
      return answers[0] && { from: answers[0].from, as_of: answers[0].as_of };
    }
  }
}

function asked(
  tallybook: Tallybook,
  { from, to, uses }: Stretch,
  measure: string,
  knownAt: Micros | undefined,
) {
  return tallybook.ask(passagesStream.name, {
    measures: [measure],
    by: ['dpu_id'],
    ...(uses.size > sensorsNamed ? {} : { where: { dpu_id: [...uses.keys()] } }),
    ...timesOf(from, to),
    ...(knownAt === undefined ? {} : { known_at: formatTimestamp(knownAt) }),
    limit: limits.answer_rows,
  });
}

/** A stretch as a question has it. Nothing lies beyond the last instant. */
export function timesOf(from: Micros | undefined, to: Micros | undefined): { from?: string; to?: string } {
  return {
    ...(from === undefined ? {} : { from: formatTimestamp(from) }),
    ...(to === undefined || to > lastInstant ? {} : { to: formatTimestamp(to) }),
  };
}
