/**
 * How many people are in a space at an instant, everything that happened then included: what the last reset set, and
 * since then every step into it and out of it, by the sensors that hung around it.
 *
 * Sums are of direction: a step into the space that the sensor faces is 1, out of it -1; for the space behind it the
 * other way round. Passages at the very instant of a reset are in the count that it set.
 */
import type { Micros } from '../../engine/calendar.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Building, Space } from './building.ts';
import { lastReset, zoneOf } from './calibration.ts';
import { type Origin, Totals } from './totals.ts';

export interface CountOptions {
  /** Whether resets count. */
  calibrated: boolean;
  knownAt: Micros | undefined;
}

export async function countAt(
  tallybook: Tallybook,
  building: Building,
  space: Space,
  at: Micros,
  options: CountOptions,
): Promise<{ count: number; origin: Origin | undefined }> {
  const totals = new Totals(building.sensors);
  const counts = [open(totals, 0, space, at, options)];
  const origin = await totals.addUp(tallybook, 'sum(direction)', options.knownAt, counts);
  return { count: counts[0]!, origin };
}

export interface SpaceCount {
  space: Space;
  count: number | null;
  /** Why there is none. */
  fault: string | undefined;
}

/** Of some spaces at once. A space whose time zone is none has no count; its fault says so. */
export async function countsAt(
  tallybook: Tallybook,
  building: Building,
  spaces: readonly Space[],
  at: Micros,
  options: CountOptions,
): Promise<{ counts: SpaceCount[]; origin: Origin | undefined }> {
  const totals = new Totals(building.sensors);
  const faults = new Map<Space, string>();
  const sums = spaces.map((space, index) => {
    try {
      return open(totals, index, space, at, options);
    } catch (error) {
      faults.set(space, (error as Error).message);
      return 0;
    }
  });
  const origin = await totals.addUp(tallybook, 'sum(direction)', options.knownAt, sums);
  const counts = spaces.map((space, index) => {
    const fault = faults.size > 0 ? faults.get(space) : undefined;
    return { space, count: fault === undefined ? sums[index]! : null, fault };
  });
  return { counts, origin };
}

/** Notes what is to be added up for a space, and returns what it is added to. */
function open(totals: Totals, index: number, space: Space, at: Micros, { calibrated }: CountOptions): number {
  zoneOf(space);
  const reset = calibrated ? lastReset(space, at) : undefined;
  const since = reset && reset.at + 1n;
  const end = at + 1n;
  for (const around of space.around) {
    const to = around.to !== undefined && around.to < end ? around.to : end;
    totals.add(index, around, later(around.from, since), to);
  }
  return reset?.people ?? 0;
}

function later(a: Micros | undefined, b: Micros | undefined): Micros | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}
