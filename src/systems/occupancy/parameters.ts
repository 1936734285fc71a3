/** What the routes are asked with, and how counts are shown. */
import { Type } from 'typebox';
import { formatTimestamp, type Micros, nowMicros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { checkInstant } from '../../engine/question.ts';
import type { Building, Space } from './building.ts';
import type { CountOptions } from './counts.ts';

const text = (description: string) => Type.Optional(Type.String({ maxLength: 100, description }));

export const tsParameter = text(
  'When: an ISO 8601 timestamp (with no offset it is UTC); what happened then is counted. Now when not given.',
);
export const countParameters = {
  negative: Type.Optional(
    Type.Enum(['raw', 'clamp'], {
      description: 'A count below zero as it is (raw, when not given), or shown as 0.',
    }),
  ),
  calibrated: Type.Optional(
    Type.Enum(['true', 'false'], { description: 'false: as if nothing had ever been reset.' }),
  ),
  known_at: text('As it was known then.'),
};
export const SpaceParams = Type.Object({ id: Type.String({ maxLength: 100 }) });

type Query = Readonly<Record<string, string | undefined>>;

/** Throws `bad_request`. */
export function instant(name: string, given: string, tz = 'UTC'): Micros {
  try {
    return checkInstant(name, given, tz);
  } catch (error) {
    throw new TallybookError('bad_request', (error as Error).message);
  }
}

export function instantOrNow(name: string, given: string | undefined): Micros {
  return given === undefined ? nowMicros() : instant(name, given);
}

export function countOptions({ calibrated, known_at: knownAt }: Query): CountOptions {
  return {
    calibrated: calibrated !== 'false',
    knownAt: knownAt === undefined ? undefined : instant('known_at', knownAt),
  };
}

/** A count as it is asked to be shown. What is kept stays as it is: the next step out of an empty space is seen by nobody. */
export function shown(count: number, { negative }: Query): number {
  return negative === 'clamp' ? Math.max(0, count) : count;
}

/** The part of the capacity that a count is, with four decimals; null without a capacity. */
export function utilisation(count: number, { capacity }: Space): number | null {
  return capacity === null || capacity === 0 ? null : Math.round((count / capacity) * 10_000) / 10_000;
}

/** Throws `unknown_record`. */
export function spaceOf({ spaces }: Building, id: string): Space {
  const space = spaces.get(id);
  if (space) return space;
  throw new TallybookError(
    'unknown_record',
    `there is no space ${id}; PUT /v1/spaces/${id} makes it known, GET /v1/spaces lists them`,
  );
}

export const time = (instant: Micros): string => formatTimestamp(instant);
export const TimeSchema = Type.String({ description: 'In UTC, with microseconds.' });
