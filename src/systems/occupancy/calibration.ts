/**
 * Resets: a count that is set at a time, because somebody looked, or every night by a rule. What is earlier never changes
 * what is later than a reset.
 *
 * A rule is no record of each night: its resets follow from it, also from one that is made, corrected or taken back
 * afterwards. Its time is that of the local clock: where the clock jumps over it, it is the moment of the jump's other
 * side (02:30 is 03:30); where the clock shows it twice, the first time. Where two fall on the same instant, a reset
 * that somebody made counts before one of a rule.
 */
import { bucketStart, instantOfLocal, isTimeZone, type Micros, offsetAt } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Reset, ResetRule, Space } from './building.ts';

const day: Micros = 86_400_000_000n;

/** The last reset of a space at or before an instant. */
export function lastReset(space: Space, at: Micros): Reset | undefined {
  let last: Reset | undefined;
  for (const rule of space.rules) {
    const found = lastOfRule(rule, zoneOf(space), at);
    if (found && (!last || found.at >= last.at)) last = found;
  }
  const made = space.resets.findLast((reset) => reset.at <= at);
  return made && (!last || made.at >= last.at) ? made : last;
}

/** The resets of a space from one instant (inclusive) to another (exclusive), ascending, at most one at an instant. */
export function resetsBetween(space: Space, from: Micros, to: Micros): Reset[] {
  const byInstant = new Map<Micros, Reset>();
  for (const rule of space.rules)
    for (const reset of ofRuleBetween(rule, zoneOf(space), from, to)) byInstant.set(reset.at, reset);
  for (const reset of space.resets) if (reset.at >= from && reset.at < to) byInstant.set(reset.at, reset);
  return [...byInstant.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
}

/** Throws `bad_request` for a zone that the machine does not know. */
export function zoneOf({ id, tz }: Space): string {
  if (isTimeZone(tz)) return tz;
  throw new TallybookError(
    'bad_request',
    `the space ${id} has the time zone ${tz}, which is none; correct it with PUT /v1/spaces/${id}`,
  );
}

function lastOfRule(rule: ResetRule, tz: string, at: Micros): Reset | undefined {
  const latest = rule.to !== undefined && rule.to <= at ? rule.to - 1n : at;
  const found = lastAtLocalTime(tz, rule.localTime, latest);
  return rule.from !== undefined && found < rule.from ? undefined : { at: found, people: rule.people };
}

interface LocalTimeFound {
  tz: string;
  localTime: Micros;
  latest: Micros;
  at: Micros;
}
/** Most spaces of a building are reset at the same time of the same zone; a zone's clock takes 20 us to ask. */
let lately: LocalTimeFound[] = [];
const latelyMost = 100;

/** The last instant at or before another at which local clocks showed a time of day. */
function lastAtLocalTime(tz: string, localTime: Micros, latest: Micros): Micros {
  for (const one of lately)
    if (one.tz === tz && one.localTime === localTime && one.latest === latest) return one.at;
  // The day of the instant, or one before it, for a time of day that has not come yet.
  let midnight = midnightOf(latest, tz);
  let at: Micros;
  do {
    at = instantOfLocal(tz, midnight + localTime);
    midnight -= day;
  } while (at > latest);
  lately = [{ tz, localTime, latest, at }, ...lately.slice(0, latelyMost - 1)];
  return at;
}

function* ofRuleBetween(rule: ResetRule, tz: string, from: Micros, to: Micros): Generator<Reset> {
  const first = rule.from !== undefined && rule.from > from ? rule.from : from;
  const end = rule.to !== undefined && rule.to < to ? rule.to : to;
  if (first >= end) return;
  for (let midnight = midnightOf(first, tz) - day; ; midnight += day) {
    const at = instantOfLocal(tz, midnight + rule.localTime);
    if (at >= end) return;
    if (at >= first) yield { at, people: rule.people };
  }
}

/** Local midnight of an instant's day, as if it were UTC: nights are counted by the calendar, not by hours. */
function midnightOf(instant: Micros, tz: string): Micros {
  const local = instant + offsetAt(tz, instant);
  return bucketStart(local, 'day', 'UTC');
}
