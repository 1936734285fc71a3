/**
 * The building as it stands in the ledger: spaces, where sensors hang, resets and the rules for them; now, or as it was
 * known at a time.
 *
 * A sensor hangs at one place at a time. Where two of its assignments are valid at once, the one that began later counts,
 * of two that began at once the one that arrived later: so hanging a sensor elsewhere is one new assignment, and nobody is
 * counted twice because the old one was not ended. What is left of each assignment is a span.
 */
import { type Micros, parseTimestamp } from '../../engine/calendar.ts';
import type { ReferenceRecord, ReferenceRecords } from '../../engine/reference-data.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { SensorIndex } from './sensor-index.ts';
import { sidesStanding } from './sides.ts';
import {
  assignmentsStream,
  doorwaysStream,
  resetRulesStream,
  resetsStream,
  spacesStream,
} from './streams.ts';
import type { Terms } from './totals.ts';

/** With what is needed to count: to look up 20,000 spaces in three maps took 4 ms of a count of all of them. */
export interface Space {
  id: string;
  name: string | null;
  tz: string;
  capacity: number | null;
  around: readonly Around[];
  /** Ascending. */
  resets: readonly Reset[];
  rules: readonly ResetRule[];
}

/** A stretch of time in which a sensor hangs at one place. */
export interface Span {
  dpu: string;
  doorway: string | null;
  /** Null is the outside. */
  faces: string | null;
  behind: string | null;
  /** Inclusive; undefined: ever since. */
  from: Micros | undefined;
  /** Exclusive; undefined: to this day. */
  to: Micros | undefined;
}

/** Sensors around a space in the same stretch of time, and how often the sum of each counts there: 1 or -1. */
export interface Around extends Terms {
  from: Micros | undefined;
  to: Micros | undefined;
}

export interface Reset {
  at: Micros;
  people: number;
}

/** A count that is set every day. */
export interface ResetRule {
  /** After local midnight. */
  localTime: Micros;
  people: number;
  from: Micros | undefined;
  to: Micros | undefined;
}

export interface Building {
  spaces: ReadonlyMap<string, Space>;
  /** By sensor. */
  spans: ReadonlyMap<string, readonly Span[]>;
  /** By space: of the sensors that face it or have it behind them. */
  spansOfSpace: ReadonlyMap<string, readonly Span[]>;
  /** The sensors that hang anywhere, at any time. */
  sensors: SensorIndex;
}

/** The building now, or as it was known at a time. */
export async function buildingOf({ reference }: Tallybook, knownAt: Micros | undefined): Promise<Building> {
  const [spaces, doorways, assignments, resets, rules] = await Promise.all(
    [spacesStream, doorwaysStream, assignmentsStream, resetsStream, resetRulesStream].map(({ name }) =>
      reference.standing(name, knownAt),
    ),
  );
  const { around, ...hung } = spansFrom(assignments!, doorways!);
  return { spaces: spacesFrom(spaces!, around, resetsFrom(resets!), rulesFrom(rules!)), ...hung };
}

/** Does the work once for the same records. */
function once<R extends ReadonlyMap<string, unknown>[], T>(
  work: (records: ReferenceRecords, ...others: R) => T,
): (records: ReferenceRecords, ...others: R) => T {
  const done = new WeakMap<ReferenceRecords, { others: R; result: T }>();
  return (records, ...others) => {
    const before = done.get(records);
    if (before?.others.every((other, index) => other === others[index])) return before.result;
    const result = work(records, ...others);
    done.set(records, { others, result });
    return result;
  };
}

const compareInstants = (a: Micros, b: Micros): number => (a < b ? -1 : a > b ? 1 : 0);

const spacesFrom = once(
  (
    records,
    around: ReadonlyMap<string, readonly Around[]>,
    resets: ReadonlyMap<string, readonly Reset[]>,
    rules: ReadonlyMap<string, readonly ResetRule[]>,
  ) => {
    const spaces = new Map<string, Space>();
    for (const [id, { name, tz, capacity }] of records)
      spaces.set(id, {
        id,
        name: name!,
        tz: tz!,
        capacity: numberOf(capacity),
        around: around.get(id) ?? [],
        resets: resets.get(id) ?? [],
        rules: rules.get(id) ?? [],
      });
    return spaces;
  },
);

const resetsFrom = once((records) => {
  const resets = grouped(records.values(), ({ space_id }) => space_id!, resetOf);
  // Of several at the same time, the one that arrived last comes last: sorting keeps the order of equals.
  for (const ofSpace of resets.values()) ofSpace.sort((a, b) => compareInstants(a.at, b.at));
  return resets;
});

const rulesFrom = once((records) => grouped(records.values(), ({ space_id }) => space_id!, ruleOf));

const spansFrom = once((records, doorways: ReferenceRecords) => {
  const assigned = grouped(
    records.values(),
    ({ dpu_id }) => dpu_id!,
    (record) => spanOf(record, doorways),
  );
  const spans = new Map<string, Span[]>();
  const spansOfSpace = new Map<string, Span[]>();
  for (const [dpu, given] of assigned) {
    const apart = withoutOverlaps(given);
    spans.set(dpu, apart);
    for (const span of apart) {
      for (const space of new Set([span.faces, span.behind])) {
        if (space === null) continue;
        const ofSpace = spansOfSpace.get(space);
        if (ofSpace) ofSpace.push(span);
        else spansOfSpace.set(space, [span]);
      }
    }
  }
  const sensors = new SensorIndex(spans.keys());
  return { spans, spansOfSpace, sensors, around: aroundSpaces(spansOfSpace, sensors) };
});

function aroundSpaces(
  spansOfSpace: ReadonlyMap<string, readonly Span[]>,
  sensors: SensorIndex,
): Map<string, Around[]> {
  const slotOf = new Map(sensors.ids.map((id, slot) => [id, slot]));
  const count = [...spansOfSpace.values()].reduce((sum, spans) => sum + spans.length, 0);
  const [slots, times] = [new Int32Array(count), new Int8Array(count)];
  let end = 0;
  const around = new Map<string, Around[]>();
  for (const [space, spans] of spansOfSpace) {
    const counting = spans.filter(({ faces, behind }) => faces !== behind);
    const alike = grouped(
      counting,
      ({ from, to }) => `${from} ${to}`,
      (span) => span,
    );
    around.set(
      space,
      [...alike.values()].map((group) => {
        const first = end;
        for (const { dpu, faces } of group) {
          slots[end] = slotOf.get(dpu)!;
          times[end++] = faces === space ? 1 : -1;
        }
        return { from: group[0]!.from, to: group[0]!.to, slots, times, first, end };
      }),
    );
  }
  return around;
}

export function grouped<R, T>(
  records: Iterable<R>,
  keyOf: (record: R) => string,
  make: (record: R) => T,
): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const record of records) {
    const group = groups.get(keyOf(record));
    if (group) group.push(make(record));
    else groups.set(keyOf(record), [make(record)]);
  }
  return groups;
}

function spanOf(
  { dpu_id, doorway_id, faces, behind, from, to }: ReferenceRecord,
  doorways: ReferenceRecords,
): Span {
  return {
    dpu: dpu_id!,
    doorway: doorway_id!,
    ...sidesStanding({ doorway_id: doorway_id!, faces: faces!, behind: behind! }, doorways),
    from: instantOf(from!),
    to: instantOf(to!),
  };
}

function resetOf({ ts, people }: ReferenceRecord): Reset {
  return { at: parseTimestamp(ts!)!, people: Number(people) };
}

function ruleOf({ local_time, people, from, to }: ReferenceRecord): ResetRule {
  const [hours, minutes] = local_time!.split(':');
  const localTime = (BigInt(hours!) * 60n + BigInt(minutes!)) * 60_000_000n;
  return { localTime, people: Number(people), from: instantOf(from!), to: instantOf(to!) };
}

function instantOf(text: string | null): Micros | undefined {
  return text === null ? undefined : parseTimestamp(text);
}

function numberOf(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/** What counts of the assignments of one sensor, given in the order of their arrival; ascending in time. */
export function withoutOverlaps(given: readonly Span[]): Span[] {
  if (given.length === 1) return isEmpty(given[0]!) ? [] : [...given];
  const ordered = given.toSorted((a, b) => compareStarts(a.from, b.from));
  // Where none begins or ends, the same one counts.
  const edges = [...new Set(ordered.flatMap(({ from, to }) => [from, to]))]
    .filter((edge) => edge !== undefined)
    .sort(compareInstants);
  const spans: Span[] = [];
  let last: Span | undefined;
  for (let i = 0; i <= edges.length; i++) {
    const [from, to] = [edges[i - 1], edges[i]];
    const counting = ordered.findLast(
      (span) =>
        (span.from === undefined || (from !== undefined && span.from <= from)) &&
        (span.to === undefined || (to !== undefined && span.to >= to)),
    );
    if (!counting) continue;
    // Where others began or ended meanwhile without counting, it is still the same stretch.
    const before = spans.at(-1);
    if (before && counting === last && before.to === from) before.to = to;
    else spans.push({ ...counting, from, to });
    last = counting;
  }
  return spans;
}

function isEmpty({ from, to }: Span): boolean {
  return from !== undefined && to !== undefined && from >= to;
}

/** What began ever since began first. */
function compareStarts(a: Micros | undefined, b: Micros | undefined): number {
  if (a === b) return 0;
  return a === undefined || (b !== undefined && a < b) ? -1 : 1;
}

/** Which steps a passage in a direction is, into a space and out of it. */
export function stepsOf(
  { faces, behind }: Span,
  space: string,
  direction: 1 | -1,
): [into: number, out: number] {
  const [entered, left] = direction === 1 ? [faces, behind] : [behind, faces];
  return [Number(entered === space), Number(left === space)];
}
