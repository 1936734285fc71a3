/**
 * Capacity alerts: a space that is 80 % full, and one that is full, each told once for a space and a day of its clock. An
 * alert on a stream cannot watch this figure, which belongs to many sensors and changes with a reset; so it is worked
 * out after commits, and told by the same notifications, to the same webhooks.
 */
import { bucketStart, formatBucket, nextBucket, nowMicros } from '../../engine/calendar.ts';
import { type Notification, notificationId } from '../../engine/notifications.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { buildingOf, type Space } from './building.ts';
import { countsAt } from './counts.ts';
import { AfterCommits } from './live.ts';
import { time } from './parameters.ts';
import { spacesStream } from './streams.ts';

export const capacityAlert = 'occupancy.capacity';
const thresholds = [80, 100];
/** Nobody needs to know within milliseconds, and all spaces may have a capacity: a few hundredths of a core are enough. */
const pauseMilliseconds = 500;
const pauseShare = 25;
/** Notifications that are known to be told are not written again; of more, some are, which changes nothing. */
const toldMost = 200_000;

/** Watches the spaces that have a capacity, until it is stopped. */
export function watchCapacities(tallybook: Tallybook): { stop(): Promise<void> } {
  const told = new Set<string>();
  return new AfterCommits(tallybook, () => tellFull(tallybook, told), pauseMilliseconds, pauseShare);
}

/** @param told ids of notifications that were added before */
async function tellFull(tallybook: Tallybook, told: Set<string>): Promise<void> {
  const building = await buildingOf(tallybook, undefined);
  const spaces = [...building.spaces.values()].filter(({ capacity }) => (capacity ?? 0) > 0);
  if (spaces.length === 0) return;
  const at = nowMicros();
  const options = { calibrated: true, knownAt: undefined };
  const { counts } = await countsAt(tallybook, building, spaces, at, options);
  const reached = counts
    .flatMap(({ space, count }) =>
      thresholds
        .filter((threshold) => count !== null && count * 100 >= space.capacity! * threshold)
        .map((threshold) => notificationOf(space, count!, threshold, at)),
    )
    .filter(({ id }) => !told.has(id));
  if (reached.length === 0) return;
  await tallybook.notifications.add(reached);
  if (told.size > toldMost) told.clear();
  for (const { id } of reached) told.add(id);
}

function notificationOf(space: Space, count: number, threshold: number, at: bigint): Notification {
  const { id, tz, capacity } = space;
  const from = bucketStart(at, 'day', tz);
  const start = formatBucket(from, 'day', tz);
  const identity = { alert: capacityAlert, revision: 1, threshold: String(threshold) };
  const hundredths = (BigInt(count) * 10_000n) / BigInt(capacity!);
  return {
    ...identity,
    id: notificationId(identity, [id, start]),
    at: time(at),
    stream: spacesStream.name,
    measure: 'people',
    key: id,
    dimensions: { space_id: id },
    period: { every: 'day', tz, start, from: time(from), to: time(nextBucket(from, 'day', tz)) },
    limit: String(capacity),
    value: String(count),
    percent: `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, '0')}`.replace(/\.?0+$/, ''),
  };
}
