/**
 * Random work on a building: passages in any order, late, corrected and taken back; sensors that are moved, and moves that
 * are corrected; resets and rules. Any count at any time, and any series, equals a naive replay of all passages; and what
 * was known at a time stays as it was.
 */
import { describe, expect, test } from 'vitest';
import { formatTimestamp, instantOfLocal, offsetAt, parseTimestamp } from '../../../src/engine/calendar.ts';
import { Random } from '../../contract/random-work.ts';
import { storeKinds } from '../../http/open-app.ts';
import { type OpenOccupancy, openOccupancy } from './opened.ts';

const given = process.env.TALLYBOOK_TEST_SEED;
const seed = given ? Number(given) : Math.floor(Math.random() * 2 ** 32);

interface Passage {
  at: bigint;
  direction: number;
  dpu: number;
}
interface Assignment {
  /** Order of arrival. */
  order: number;
  dpu: number;
  faces: string | null;
  behind: string | null;
  from: bigint | null;
  to: bigint | null;
}
interface Reset {
  order: number;
  space: string;
  at: bigint;
  people: number;
}
interface Rule {
  space: string;
  time: string;
  people: number;
  from: bigint | null;
  to: bigint | null;
}
/** All that stands, to be copied when it must be known later. */
interface World {
  passages: Map<string, Passage>;
  assignments: Map<string, Assignment>;
  resets: Map<string, Reset>;
  rules: Map<string, Rule>;
}

const zones: Record<string, string> = { A: 'Europe/Madrid', B: 'Asia/Kathmandu', C: 'UTC' };
const spaces = Object.keys(zones);
const minute = 60_000_000n;
const dayLength = 1440n * minute;
/** Both sides of a night in which clocks are put back, and one in which they are put forward. */
const starts = ['2026-10-23T12:00:00Z', '2026-03-27T12:00:00Z'].map((text) => parseTimestamp(text)!);
/** Nobody asks for an earlier time: a series by the week starts up to six days before the first of `starts`. */
const beforeAll = starts.at(-1)! - 10n * dayLength;

const valid = ({ from, to }: Pick<Assignment, 'from' | 'to'>, at: bigint): boolean =>
  (from === null || from <= at) && (to === null || at < to);

/** The one that began last, of those the last that came. */
function assignmentAt(world: World, dpu: number, at: bigint): Assignment | undefined {
  const fitting = [...world.assignments.values()].filter((one) => one.dpu === dpu && valid(one, at));
  const start = (one: Assignment) => one.from ?? -(10n ** 18n);
  return fitting
    .sort((a, b) => (start(a) === start(b) ? a.order - b.order : start(a) < start(b) ? -1 : 1))
    .at(-1);
}

/** Every instant at which a space is reset up to a time, by looking at every night. */
function resetsOf(world: World, space: string, first: bigint, last: bigint): Map<bigint, number> {
  const zone = zones[space]!;
  const found = new Map<bigint, number>();
  for (const rule of world.rules.values()) {
    if (rule.space !== space) continue;
    const [hours, minutes] = rule.time.split(':').map(BigInt) as [bigint, bigint];
    const local = first - 3n * dayLength + offsetAt(zone, first);
    for (let night = local - (local % dayLength); night < last + 3n * dayLength; night += dayLength) {
      const at = instantOfLocal(zone, night + (hours * 60n + minutes) * minute);
      if (valid(rule, at) && at <= last) found.set(at, rule.people);
    }
  }
  const made = [...world.resets.values()].filter((reset) => reset.space === space && reset.at <= last);
  for (const { at, people } of made.sort((a, b) => a.order - b.order)) found.set(at, people);
  return found;
}

interface Step {
  at: bigint;
  into: number;
  out: number;
}

function stepsOf(world: World, space: string): Step[] {
  return [...world.passages.values()].flatMap(({ at, direction, dpu }) => {
    const where = assignmentAt(world, dpu, at);
    if (!where) return [];
    const [entered, left] = direction === 1 ? [where.faces, where.behind] : [where.behind, where.faces];
    return [{ at, into: Number(entered === space), out: Number(left === space) }];
  });
}

function countAt(world: World, space: string, at: bigint, calibrated = true): number {
  const resets = calibrated ? resetsOf(world, space, beforeAll, at) : new Map<bigint, number>();
  const last = [...resets.keys()]
    .filter((instant) => instant <= at)
    .sort((a, b) => (a < b ? -1 : 1))
    .at(-1);
  const steps = stepsOf(world, space).filter(
    (step) => step.at <= at && (last === undefined || step.at > last),
  );
  return (
    (last === undefined ? 0 : resets.get(last)!) + steps.reduce((sum, { into, out }) => sum + into - out, 0)
  );
}

class Work {
  readonly #random: Random;
  readonly #occupancy: OpenOccupancy;
  #world: World = { passages: new Map(), assignments: new Map(), resets: new Map(), rules: new Map() };
  readonly #known: { at: string; world: World }[] = [];
  #order = 0;

  constructor(occupancy: OpenOccupancy, random: Random) {
    this.#occupancy = occupancy;
    this.#random = random;
  }

  async start(): Promise<void> {
    const records = spaces.map((id) => ({ id, tz: zones[id], ...(id === 'A' ? { capacity: 7 } : {}) }));
    await this.#occupancy.done('POST', '/v1/spaces', records);
  }

  /** Often at the same few instants, so that passages, resets, moves and questions meet. */
  #instant(): bigint {
    const random = this.#random;
    const start = random.pick(starts);
    const exact = random.chance(0.5)
      ? BigInt(random.below(72)) * 60n * minute
      : BigInt(random.below(72 * 3_600)) * 1_000_000n;
    return start + exact + (random.chance(0.1) ? BigInt(random.below(3)) : 0n);
  }

  #maybe(): bigint | null {
    return this.#random.chance(0.3) ? null : this.#instant();
  }

  async step(): Promise<void> {
    const random = this.#random;
    const action = random.below(12);
    if (action < 5) await this.#pass();
    else if (action < 6) await this.#correctPassage();
    else if (action < 9) await this.#assign();
    else if (action < 11) await this.#reset();
    else await this.#rule();
  }

  async #pass(): Promise<void> {
    const sent = Array.from({ length: 1 + this.#random.below(15) }, () => this.#passage());
    const records = sent.map(([id, made]) => this.#passageRecord(id, made));
    await this.#occupancy.done('POST', '/v1/passages', records);
    for (const [id, made] of sent) if (!this.#world.passages.has(id)) this.#world.passages.set(id, made);
  }

  #passage(): [string, Passage] {
    const random = this.#random;
    return [
      `p${random.below(400)}`,
      { at: this.#instant(), direction: random.pick([1, -1]), dpu: 1 + random.below(4) },
    ];
  }

  #passageRecord(id: string, { at, direction, dpu }: Passage): object {
    return { id, timestamp: formatTimestamp(at), direction, dpu_id: dpu };
  }

  async #correctPassage(): Promise<void> {
    const ids = [...this.#world.passages.keys()];
    if (ids.length === 0) return;
    const id = this.#random.pick(ids);
    if (this.#random.chance(0.4)) {
      await this.#occupancy.done('DELETE', `/v1/passages/${id}`);
      this.#world.passages.delete(id);
      return;
    }
    const [, made] = this.#passage();
    await this.#occupancy.done('PUT', `/v1/passages/${id}`, this.#passageRecord(id, made));
    this.#world.passages.set(id, made);
  }

  async #assign(): Promise<void> {
    const random = this.#random;
    const id = `a${random.below(9)}`;
    if (this.#world.assignments.has(id) && random.chance(0.2)) {
      await this.#occupancy.done('DELETE', `/v1/assignments/${id}`);
      this.#world.assignments.delete(id);
      return;
    }
    const side = () => random.pick([...spaces, null]);
    const made = {
      order: this.#order++,
      dpu: 1 + random.below(4),
      faces: side(),
      behind: side(),
      from: this.#maybe(),
      to: this.#maybe(),
    };
    const { dpu, faces, behind, from, to } = made;
    const record = {
      dpu_id: dpu,
      faces,
      behind,
      from: from && formatTimestamp(from),
      to: to && formatTimestamp(to),
    };
    const receipt = await this.#occupancy.done('PUT', `/v1/assignments/${id}`, record);
    // What is sent as it stands keeps its place among the others.
    if (receipt.duplicates === 0) this.#world.assignments.set(id, made);
  }

  async #reset(): Promise<void> {
    const random = this.#random;
    const id = `r${random.below(8)}`;
    if (this.#world.resets.has(id) && random.chance(0.4)) {
      await this.#occupancy.done('DELETE', `/v1/resets/${id}`);
      this.#world.resets.delete(id);
      return;
    }
    const made = {
      order: this.#order++,
      space: random.pick(spaces),
      at: this.#instant(),
      people: random.below(20) - 3,
    };
    const record = { space_id: made.space, ts: formatTimestamp(made.at), people: made.people };
    const receipt = await this.#occupancy.done('PUT', `/v1/resets/${id}`, record);
    if (receipt.duplicates === 0) this.#world.resets.set(id, made);
  }

  async #rule(): Promise<void> {
    const random = this.#random;
    const id = `n${random.below(2)}`;
    if (this.#world.rules.has(id)) {
      await this.#occupancy.done('DELETE', `/v1/reset-rules/${id}`);
      this.#world.rules.delete(id);
      return;
    }
    // One rule a space: which of two counts at the same instant is nobody's business.
    const space = spaces[Number(id.slice(1))]!;
    const made = {
      space,
      time: random.pick(['04:00', '02:30', '00:00', '23:59']),
      people: random.below(3),
      from: this.#maybe(),
      to: this.#maybe(),
    };
    const { time, people, from, to } = made;
    const record = {
      space_id: space,
      local_time: time,
      people,
      from: from && formatTimestamp(from),
      to: to && formatTimestamp(to),
    };
    await this.#occupancy.done('PUT', `/v1/reset-rules/${id}`, record);
    this.#world.rules.set(id, made);
  }

  async remember(): Promise<void> {
    const { as_of: asOf } = await this.#occupancy.tallybook.ask('passages', {});
    const world = Object.fromEntries(
      Object.entries(this.#world).map(([name, records]) => [name, new Map(records as Map<string, never>)]),
    );
    this.#known.push({ at: asOf.recorded_at, world: world as unknown as World });
    // The next commit must not be recorded at the same microsecond.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async check(): Promise<void> {
    for (let n = 0; n < 6; n++) {
      const space = this.#random.pick(spaces);
      const at = this.#instant();
      const ts = formatTimestamp(at);
      expect(await this.#occupancy.count(space, ts), `${space} at ${ts}`).toBe(
        countAt(this.#world, space, at),
      );
      const plain = await this.#occupancy.count(space, ts, '&calibrated=false');
      expect(plain, `${space} at ${ts}, never reset`).toBe(countAt(this.#world, space, at, false));
    }
    const at = this.#instant();
    const { spaces: all } = await this.#occupancy.done('GET', `/v1/spaces/counts?ts=${formatTimestamp(at)}`);
    expect(all.map((row: { space_id: string; count: number }) => [row.space_id, row.count])).toEqual(
      spaces.map((space) => [space, countAt(this.#world, space, at)]),
    );
    for (const known of this.#known.slice(-3)) {
      const [space, at] = [this.#random.pick(spaces), this.#instant()];
      const more = `&known_at=${known.at}`;
      expect(await this.#occupancy.count(space, formatTimestamp(at), more)).toBe(
        countAt(known.world, space, at),
      );
    }
    await this.#checkSeries();
  }

  async #checkSeries(): Promise<void> {
    const random = this.#random;
    const space = random.pick(spaces);
    const [interval, length] = random.pick([
      ['15m', 15n],
      ['1h', 60n],
      ['1d', 1_440n],
      ['1w', 10_080n],
      ['5m', 5n],
    ] as const);
    const from = random.pick(starts) + BigInt(random.below(2 * 1_440)) * minute;
    const to = from + BigInt(1 + random.below(20)) * length * minute;
    const query = `start_time=${formatTimestamp(from)}&end_time=${formatTimestamp(to)}&interval=${interval}`;
    const { counts } = await this.#occupancy.done('GET', `/v1/spaces/${space}/counts?${query}`);
    expect(counts.length).toBeGreaterThan(0);
    expect(parseTimestamp(counts[0].start)! <= from && parseTimestamp(counts.at(-1).end)! >= to).toBe(true);
    const steps = stepsOf(this.#world, space);
    for (const { start, end, ...found } of counts) {
      const [first, last] = [parseTimestamp(start)!, parseTimestamp(end)!];
      const within = steps.filter((step) => step.at >= first && step.at < last);
      const resets = [...resetsOf(this.#world, space, first, last).keys()].filter(
        (at) => at >= first && at < last,
      );
      const instants = [first, ...within.map((step) => step.at), ...resets];
      const levels = instants.map((at) => countAt(this.#world, space, at));
      const count = countAt(this.#world, space, last - 1n);
      expect(found, `${space} from ${start} to ${end}`).toEqual({
        count,
        entrances: within.reduce((sum, { into }) => sum + into, 0),
        exits: within.reduce((sum, { out }) => sum + out, 0),
        min: Math.min(...levels),
        max: Math.max(...levels),
        utilisation: space === 'A' ? Math.round((count / 7) * 10_000) / 10_000 : null,
      });
    }
  }
}

describe.each(storeKinds)('random occupancy, %s', (kind) => {
  test(`counts and series equal a naive replay (TALLYBOOK_TEST_SEED=${seed})`, async () => {
    const occupancy = await openOccupancy(kind);
    const work = new Work(occupancy, new Random(seed));
    await work.start();
    for (let step = 1; step <= 80; step++) {
      await work.step();
      if (step % 20 === 0) await work.remember();
      if (step % 8 === 0) await work.check();
    }
    expect((await occupancy.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
    await occupancy.tallybook.compact();
    for (let n = 0; n < 3; n++) await work.check();
  }, 120_000);
});
