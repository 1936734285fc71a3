/** Counts at a time: of one space, of all of them; and of one space over time. */
import { Type } from 'typebox';
import { formatBucket } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Route } from '../system.ts';
import { buildingOf } from './building.ts';
import { zoneOf } from './calibration.ts';
import { countAt, countsAt } from './counts.ts';
import {
  countOptions,
  countParameters,
  instant,
  instantOrNow,
  SpaceParams,
  shown,
  spaceOf,
  TimeSchema,
  time,
  tsParameter,
  utilisation,
} from './parameters.ts';
import { type IntervalName, intervalNames, intervalsOf, seriesOf } from './series.ts';
import { countedStreams } from './streams.ts';

const Count = Type.Integer({
  description: 'People; below zero where more are known to have left than came.',
});
const Utilisation = Type.Union([Type.Number(), Type.Null()], {
  description: 'The count as a part of the capacity: 0.5 is half full; null without a capacity.',
});
const CountAnswer = Type.Object({ space_id: Type.String(), ts: TimeSchema, count: Count });
/** The body that clients of this path know for a space that there is not. */
const NotFound = Type.Object({ detail: Type.String() });

export const countRoute: Route = {
  method: 'GET',
  path: '/space/:id/count',
  scope: 'read',
  streams: countedStreams,
  summary: 'How many people are in a space',
  description: 'At a time, everything that happened at that very instant included; or now.',
  params: SpaceParams,
  query: Type.Object({ ts: tsParameter, ...countParameters }),
  paged: false,
  answers: { 200: CountAnswer, 404: NotFound },
  async answer({ tallybook, params, query }) {
    const at = instantOrNow('ts', query.ts);
    const options = countOptions(query);
    const building = await buildingOf(tallybook, options.knownAt);
    const space = building.spaces.get(params.id!);
    if (!space) return { status: 404, body: { detail: 'Not found.' } };
    const { count, origin } = await countAt(tallybook, building, space, at, options);
    const body = { space_id: space.id, ts: time(at), count: shown(count, query) };
    return { body, ...(origin ? { origin } : {}) };
  },
};

export const countsRoute: Route = {
  method: 'GET',
  path: '/v1/spaces/counts',
  scope: 'read',
  streams: countedStreams,
  summary: 'How many people are in every space',
  description: 'At a time, or now. A space whose time zone is none has no count; `fault` says so.',
  query: Type.Object({ ts: tsParameter, ...countParameters }),
  paged: false,
  answers: Type.Object({
    ts: TimeSchema,
    spaces: Type.Array(
      Type.Object({
        space_id: Type.String(),
        name: Type.Union([Type.String(), Type.Null()]),
        count: Type.Union([Count, Type.Null()]),
        capacity: Type.Union([Type.Integer(), Type.Null()]),
        utilisation: Utilisation,
        fault: Type.Optional(Type.String()),
      }),
    ),
  }),
  async answer({ tallybook, query }) {
    const at = instantOrNow('ts', query.ts);
    const options = countOptions(query);
    const building = await buildingOf(tallybook, options.knownAt);
    const spaces = [...building.spaces.values()];
    const { counts, origin } = await countsAt(tallybook, building, spaces, at, options);
    const rows = counts.map(({ space, count, fault }) => {
      const seen = count === null ? null : shown(count, query);
      return {
        space_id: space.id,
        name: space.name,
        count: seen,
        capacity: space.capacity,
        utilisation: seen === null ? null : utilisation(seen, space),
        fault, // no member where there is none
      };
    });
    return { body: { ts: time(at), spaces: rows }, ...(origin ? { origin } : {}) };
  },
};

export const seriesRoute: Route = {
  method: 'GET',
  path: '/v1/spaces/:id/counts',
  scope: 'read',
  streams: countedStreams,
  summary: 'A space over time',
  description:
    'The intervals that the time from start_time to end_time touches, whole, by the clock of the space: who came and went, the count at the end of each, the fewest and the most in it.',
  params: SpaceParams,
  query: Type.Object({
    start_time: Type.String({
      maxLength: 100,
      description:
        'A timestamp (with no offset it is UTC), or a date: midnight in the time zone of the space.',
    }),
    end_time: Type.String({ maxLength: 100, description: 'Exclusive.' }),
    interval: Type.Enum([...intervalNames]),
    ...countParameters,
  }),
  paged: false,
  answers: Type.Object({
    space_id: Type.String(),
    interval: Type.String(),
    tz: Type.String(),
    capacity: Type.Union([Type.Integer(), Type.Null()]),
    counts: Type.Array(
      Type.Object({
        start: Type.String({ description: 'By the clock of the space, with its offset.' }),
        end: Type.String({ description: 'Exclusive.' }),
        count: Count,
        entrances: Type.Integer(),
        exits: Type.Integer(),
        min: Count,
        max: Count,
        utilisation: Utilisation,
      }),
    ),
  }),
  async answer({ tallybook, params, query }) {
    const options = countOptions(query);
    const building = await buildingOf(tallybook, options.knownAt);
    const space = spaceOf(building, params.id!);
    const tz = zoneOf(space);
    const from = instant('start_time', query.start_time!, tz);
    const to = instant('end_time', query.end_time!, tz);
    if (from >= to) {
      throw new TallybookError(
        'bad_request',
        `start_time (${query.start_time}) does not lie before end_time (${query.end_time})`,
      );
    }
    const interval = query.interval as IntervalName;
    const intervals = intervalsOf(interval, tz, from, to);
    const { series, origin } = await seriesOf(tallybook, building, space, intervals, options);
    const counts = series.map(({ start, end, count, entrances, exits, min, max }) => ({
      start: formatBucket(start, 'minute', tz),
      end: formatBucket(end, 'minute', tz),
      count: shown(count, query),
      entrances,
      exits,
      min: shown(min, query),
      max: shown(max, query),
      utilisation: utilisation(shown(count, query), space),
    }));
    const body = { space_id: space.id, interval, tz, capacity: space.capacity, counts };
    return { body, ...(origin ? { origin } : {}) };
  },
};
