/**
 * A space over time: intervals by its own clock, each from its start (inclusive) to its end (exclusive), with who went in
 * and out, the count when it ended, and the fewest and the most people that were there at any instant of it.
 */
import { bucketStart, type Every, type Micros, nextBucket, offsetAt } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Building, Reset, Space } from './building.ts';
import { resetsBetween, zoneOf } from './calibration.ts';
import { type CountOptions, countAt } from './counts.ts';
import type { Origin } from './totals.ts';
import { stepsBetween } from './walk.ts';

export const intervalNames = ['1m', '5m', '15m', '1h', '1d', '1w'] as const;
export type IntervalName = (typeof intervalNames)[number];

export interface Interval {
  start: Micros;
  end: Micros;
  count: number;
  entrances: number;
  exits: number;
  min: number;
  max: number;
}

const minute: Micros = 60_000_000n;
const minutes: Partial<Record<IntervalName, bigint>> = { '1m': 1n, '5m': 5n, '15m': 15n };
const buckets: Partial<Record<IntervalName, Exclude<Every, 'all'>>> = {
  '1h': 'hour',
  '1d': 'day',
  '1w': 'week',
};

/** The intervals that a stretch touches, whole. Throws `bad_request` when there are too many. */
export function intervalsOf(name: IntervalName, tz: string, from: Micros, to: Micros): [Micros, Micros][] {
  const every = buckets[name];
  const length = (minutes[name] ?? 1n) * minute;
  const startOf = (at: Micros): Micros => {
    if (every) return bucketStart(at, every, tz);
    const local = at + offsetAt(tz, at);
    return at - (((local % length) + length) % length);
  };
  const intervals: [Micros, Micros][] = [];
  for (let start = startOf(from); start < to; ) {
    const end = every ? nextBucket(start, every, tz) : start + length;
    intervals.push([start, end]);
    if (intervals.length > limits.series_intervals) {
      throw new TallybookError(
        'bad_request',
        `there are more than ${limits.series_intervals} intervals of ${name} between start_time and end_time; ask for a shorter time or longer intervals`,
      );
    }
    start = end;
  }
  return intervals;
}

export async function seriesOf(
  tallybook: Tallybook,
  building: Building,
  space: Space,
  intervals: readonly [Micros, Micros][],
  options: CountOptions,
): Promise<{ series: Interval[]; origin: Origin | undefined }> {
  zoneOf(space);
  const [from] = intervals[0]!;
  const [, to] = intervals.at(-1)!;
  const { count, origin } = await countAt(tallybook, building, space, from - 1n, options);
  const resets = options.calibrated ? resetsBetween(space, from, to) : [];
  const walker = new Walker(intervals, resets, count);
  for await (const steps of stepsBetween(tallybook, building, space, from, to, options.knownAt))
    walker.take(steps.at, steps.entrances, steps.exits);
  return { series: walker.end(), origin };
}

/** Walks through the intervals, an instant at a time. */
class Walker {
  readonly #intervals: readonly [Micros, Micros][];
  readonly #resets: Reset[];
  #count: number;
  /** Where it stands: all that comes is at this instant or later. */
  #at: Micros | undefined;
  #index = 0;
  #current: Interval;
  #measured = false;
  readonly #done: Interval[] = [];

  constructor(intervals: readonly [Micros, Micros][], resets: Reset[], count: number) {
    this.#intervals = intervals;
    this.#resets = [...resets];
    this.#count = count;
    this.#current = this.#begin();
  }

  take(at: Micros, entrances: number, exits: number): void {
    this.#moveTo(at);
    this.#count += entrances - exits;
    this.#current.entrances += entrances;
    this.#current.exits += exits;
  }

  end(): Interval[] {
    this.#moveTo(this.#intervals.at(-1)![1]);
    return this.#done;
  }

  /** Everything before an instant has happened. */
  #moveTo(at: Micros): void {
    if (at === this.#at) return;
    for (let reset = this.#resets[0]; reset && reset.at < at; reset = this.#resets[0]) {
      this.#resets.shift();
      // Passages at the same instant are in the count that it sets.
      if (reset.at !== this.#at) this.#leaveInstant(reset.at);
      this.#count = reset.people;
      this.#at = reset.at;
    }
    this.#leaveInstant(at);
    this.#at = at;
  }

  /** The count at the instant where it stands is known now, and lasts up to the next one. */
  #leaveInstant(next: Micros): void {
    if (this.#at !== undefined && this.#at >= this.#current.start) this.#measure();
    while (next >= this.#current.end) {
      this.#measure();
      this.#current.count = this.#count;
      this.#done.push(this.#current);
      this.#index += 1;
      if (this.#index === this.#intervals.length) return;
      this.#current = this.#begin();
    }
    // Nothing has happened since its start yet: the count of before lasts into it.
    if (next > this.#current.start) this.#measure();
  }

  #measure(): void {
    const { min, max } = this.#current;
    this.#current.min = this.#measured ? Math.min(min, this.#count) : this.#count;
    this.#current.max = this.#measured ? Math.max(max, this.#count) : this.#count;
    this.#measured = true;
  }

  #begin(): Interval {
    const [start, end] = this.#intervals[this.#index]!;
    this.#measured = false;
    return { start, end, count: this.#count, entrances: 0, exits: 0, min: 0, max: 0 };
  }
}
