/**
 * Sums over stretches of time. A count is made of many: each sensor of a space from when it was hung there, or from the
 * last reset, up to an instant. Most of them begin and end alike, so they are asked together, all of one snapshot; the
 * planner takes whole days and hours from rollups, and the records of the rest.
 *
 * A stretch of few sensors is asked by their names, but for what is asked of all anyway. Those of many, such as since
 * ever and since last night, overlap: so time is cut where they begin and end, every slice is asked once, of all sensors,
 * and a stretch is the sum of its slices.
 */
import { firstInstant, lastInstant, type Micros } from '../../engine/calendar.ts';
import type { AsOf } from '../../engine/store.ts';
import type { KeySums } from '../../engine/sums.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { SensorIndex } from './sensor-index.ts';
import { passagesStream } from './streams.ts';

/** A stretch of more sensors than these is asked of all. */
const sensorsNamed = 5_000;
const latelyMost = 6;

export interface Origin {
  from: string;
  as_of: AsOf;
}

/**
 * Sensors, by slot, and how often the sum of each counts. Many share the two arrays, one after the other: to go through
 * 20,000 pairs of small ones takes twice as long.
 */
export interface Terms {
  slots: Int32Array;
  times: Int8Array;
  /** The place of the first, and that behind the last. */
  first: number;
  end: number;
}

interface Stretch {
  /** Inclusive. */
  from: Micros;
  /** Exclusive. */
  to: Micros;
  size: number;
  /** Terms, and the totals that they are added to. Lists of their own: a pair of each would be 60,000 objects. */
  terms: Terms[];
  totals: number[];
}

export class Totals {
  readonly #sensors: SensorIndex;
  readonly #stretches = new Map<Micros, Map<Micros, Stretch>>();
  /** Those that were added to before: nearly always the ones that are added to next. */
  #lately: Stretch[] = [];

  constructor(sensors: SensorIndex) {
    this.#sensors = sensors;
  }

  /** The sums of some sensors from (inclusive; undefined: ever since) to (exclusive) are added to a total. */
  add(total: number, terms: Terms, from: Micros | undefined, to: Micros | undefined): void {
    const first = from ?? firstInstant;
    const end = to === undefined || to > lastInstant ? lastInstant + 1n : to;
    if (first >= end || terms.first === terms.end) return;
    const stretch = this.#stretchOf(first, end);
    stretch.size += terms.end - terms.first;
    stretch.terms.push(terms);
    stretch.totals.push(total);
  }

  #stretchOf(from: Micros, to: Micros): Stretch {
    for (const stretch of this.#lately) if (stretch.from === from && stretch.to === to) return stretch;
    let starting = this.#stretches.get(from);
    if (!starting) {
      starting = new Map();
      this.#stretches.set(from, starting);
    }
    let stretch = starting.get(to);
    if (!stretch) {
      stretch = { from, to, size: 0, terms: [], totals: [] };
      starting.set(to, stretch);
    }
    this.#lately = [stretch, ...this.#lately.slice(0, latelyMost - 1)];
    return stretch;
  }

  /** Asks for all of them. `totals` is added to; returns where the figures come from, undefined when there are none. */
  async addUp(
    tallybook: Tallybook,
    measure: 'sum(direction)' | 'count',
    knownAt: Micros | undefined,
    totals: number[],
  ): Promise<Origin | undefined> {
    const stretches = [...this.#stretches.values()].flatMap((starting) => [...starting.values()]);
    if (stretches.length === 0) return undefined;
    const ofMany = stretches.filter(({ size }) => size > sensorsNamed);
    const slices = slicesOf(ofMany);
    const ofFew = stretches
      .filter(({ size }) => size <= sensorsNamed)
      .map((stretch) => ({ stretch, ...withoutSlices(stretch, slices) }));
    const asked = ofFew.filter(({ left }) => left !== undefined);
    const answer = await tallybook.sums(passagesStream.name, {
      measure,
      by: 'dpu_id',
      knownAt,
      stretches: [
        ...slices.map(timesOf),
        ...asked.map(({ stretch, left }) => ({ keys: this.#idsOf(stretch), ...timesOf(left!) })),
      ],
    });
    const levels = this.#levelsOf(slices, answer.stretches);
    const addBetween = (stretch: Stretch, { from, to }: Slice) => {
      const [before, after] = [levels.get(from)!, levels.get(to)!];
      addWeighed(stretch, (slot) => after[slot]! - before[slot]!, totals);
    };
    for (const stretch of ofMany) addBetween(stretch, stretch);
    for (const { stretch, covered } of ofFew) if (covered) addBetween(stretch, covered);
    for (const [index, { stretch }] of asked.entries())
      this.#addNamed(stretch, answer.stretches[slices.length + index]!, totals);
    return { from: answer.from, as_of: answer.as_of };
  }

  /** Sums of all sensors up to each cut, by slot; between two cuts lies the difference. */
  #levelsOf(slices: readonly Slice[], sums: readonly KeySums[]): Map<Micros, Float64Array> {
    if (slices.length === 0) return new Map();
    let level = new Float64Array(this.#sensors.ids.length);
    const levels = new Map([[slices[0]!.from, level]]);
    for (const [index, { to }] of slices.entries()) {
      level = level.slice();
      this.#eachSum(sums[index]!, (slot, sum) => {
        level[slot]! += sum;
      });
      levels.set(to, level);
    }
    return levels;
  }

  /**
   * The sensors of a stretch are few. An array with room for all of them would be garbage of 0.8 MB a question with 100,000
   * sensors, outside of the heap: enough of it to have the whole heap collected again and again.
   */
  #addNamed(stretch: Stretch, sums: KeySums, totals: number[]): void {
    const values = new Map<number, number>();
    this.#eachSum(sums, (slot, sum) => values.set(slot, (values.get(slot) ?? 0) + sum));
    addWeighed(stretch, (slot) => values.get(slot) ?? 0, totals);
  }

  /** Sums by slot. Counts of passages are far within what a number holds exactly. */
  #eachSum({ keys, sums }: KeySums, use: (slot: number, sum: number) => void): void {
    const keyWords = new Int32Array(keys.buffer);
    const sumWords = new Int32Array(sums.buffer);
    for (let i = 0; i < keyWords.length; i += 2) {
      const slot = this.#sensors.slotOf(keyWords[i]!, keyWords[i + 1]!);
      if (slot >= 0) use(slot, sumWords[i + 1]! * 2 ** 32 + (sumWords[i]! >>> 0));
    }
  }

  #idsOf({ terms }: Stretch): string[] {
    const slots = new Set<number>();
    for (const term of terms) for (let i = term.first; i < term.end; i++) slots.add(term.slots[i]!);
    return [...slots].map((slot) => this.#sensors.ids[slot]!);
  }
}

type Slice = Pick<Stretch, 'from' | 'to'>;

/** From each instant at which one begins or ends to the next. */
function slicesOf(stretches: readonly Slice[]): Slice[] {
  const cuts = [...new Set(stretches.flatMap(({ from, to }) => [from, to]))].sort((a, b) => (a < b ? -1 : 1));
  return cuts.slice(1).map((to, index) => ({ from: cuts[index]!, to }));
}

/**
 * A stretch of few sensors beside slices that are asked of all: what these cover at its beginning, or at its end, need not
 * be asked again by name. Since a sensor was moved, and last night: what came since last night is there.
 */
function withoutSlices(
  { from, to }: Slice,
  slices: readonly Slice[],
): { left: Slice | undefined; covered: Slice | undefined } {
  const within = slices.filter((slice) => slice.from >= from && slice.to <= to);
  const [first, last] = [within[0]?.from, within.at(-1)?.to];
  if (first === from)
    return { left: last === to ? undefined : { from: last!, to }, covered: { from, to: last! } };
  if (last === to) return { left: { from, to: first! }, covered: { from: first!, to } };
  return { left: { from, to }, covered: undefined };
}

function addWeighed({ terms, totals: of }: Stretch, sumOf: (slot: number) => number, totals: number[]): void {
  for (let use = 0; use < terms.length; use++) {
    const { slots, times, first, end } = terms[use]!;
    let sum = 0;
    for (let i = first; i < end; i++) sum += times[i]! * sumOf(slots[i]!);
    totals[of[use]!]! += sum;
  }
}

/** A stretch as it is asked. What begins with the first instant, or ends beyond the last one, has no such bound. */
function timesOf({ from, to }: Slice): { from: Micros | undefined; to: Micros | undefined } {
  return { from: from <= firstInstant ? undefined : from, to: to > lastInstant ? undefined : to };
}
