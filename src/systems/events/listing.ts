/** Lists of events, and of what was refused of them: with a cursor, and by offset as applications know it. */
import { type TSchema, Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';

import type { Reject } from '../../engine/rejects.ts';
import type { Route, RouteRequest } from '../system.ts';
import { currentStream } from './doors.ts';
import { equals, filterParameters, inclusive, selectionOf, timeParameters } from './selection.ts';
import { EventSchema, shownEvent } from './shown.ts';
import { eventsStream } from './streams.ts';

export const listRoute: Route = {
  method: 'GET',
  path: '/v1/events',
  scope: 'read',
  streams: [eventsStream],
  summary: 'List events',
  description: 'Newest first, in the order in which they came, unless order says otherwise.',
  query: Type.Object({
    ...filterParameters,
    ...timeParameters,
    order: Type.Optional(Type.Enum(['oldest', 'newest'], { description: 'By arrival.' })),
  }),
  paged: true,
  answers: Type.Object({ events: Type.Array(EventSchema), next: Type.Optional(Type.String()) }),
  async answer({ tallybook, query, page }) {
    const newestFirst = query.order !== 'oldest';
    const asked = selectionOf(query);
    const { records, next } = await tallybook.records(eventsStream.name, asked, { ...page, newestFirst });
    const stream = currentStream(tallybook);
    return { body: { events: records.map((entry) => shownEvent(stream, entry)), next }, next };
  },
};

const byOffset = {
  session_id: filterParameters.session_id,
  category: filterParameters.category,
  start_date: Type.Optional(
    Type.String({ maxLength: 60, description: 'The first day or instant that is meant.' }),
  ),
  end_date: Type.Optional(Type.String({ maxLength: 60, description: 'The last one; it is meant, too.' })),
  limit: Type.Optional(Type.String({ maxLength: 20, description: `At most ${limits.page_rows}.` })),
  offset: Type.Optional(Type.String({ maxLength: 20, description: `At most ${limits.offset_rows}.` })),
};
const Listed = (results: TSchema) =>
  Type.Object({
    count: Type.Integer({ description: 'Of all that fit.' }),
    next: Type.Union([Type.String(), Type.Null()]),
    previous: Type.Union([Type.String(), Type.Null()]),
    results: Type.Array(results),
  });

export const theeyeEventsRoute: Route = {
  method: 'GET',
  path: '/theeye/events/',
  scope: 'read',
  streams: [eventsStream],
  summary: 'List events, by offset',
  description: 'Newest first. Both dates are meant, too; of a date the whole day.',
  query: Type.Object(byOffset),
  paged: false,
  answers: Listed(EventSchema),
  async answer(request) {
    const { tallybook, query } = request;
    const asked = {
      where: equals(query, ['session_id', 'category']),
      ...inclusive('start_date', query.start_date, 'end_date', query.end_date),
    };
    const stream = currentStream(tallybook);
    const { rows } = await tallybook.ask(eventsStream.name, { ...asked, measures: ['count'] });
    return paged(request, '/theeye/events/', Number(rows[0]![0]), async (size, cursor) => {
      const page = { size, cursor, newestFirst: true };
      const { records, next } = await tallybook.records(eventsStream.name, asked, page);
      return { results: records.map((entry) => shownEvent(stream, entry)), next };
    });
  },
};

const RefusedSchema = Type.Object(
  {
    id: Type.String(),
    at: Type.String(),
    code: Type.String(),
    field: Type.Union([Type.String(), Type.Null()]),
    message: Type.String(),
    application: Type.String(),
    original: Type.String({ description: 'As it came; base64 where `encoding` says so.' }),
  },
  { additionalProperties: true },
);

export const theeyeErrorsRoute: Route = {
  method: 'GET',
  path: '/theeye/errors/',
  scope: 'read',
  streams: [eventsStream],
  summary: 'List what was refused, by offset',
  description:
    'Newest first; what was neither replayed nor discarded. Dates are those at which it was refused, both are meant.',
  query: Type.Object(byOffset),
  paged: false,
  answers: Listed(RefusedSchema),
  async answer(request) {
    const { tallybook, query } = request;
    const filter = {
      stream: eventsStream.name,
      where: equals(query, ['session_id', 'category'], 'original.'),
      ...inclusive('start_date', query.start_date, 'end_date', query.end_date),
    };
    const count = await tallybook.rejects.count(filter);
    return paged(request, '/theeye/errors/', count, async (size, cursor) => {
      const { rejects, next } = await tallybook.rejects.list(filter, { size, cursor });
      return { results: rejects.map(shownReject), next };
    });
  },
};

export function shownReject({ stream: _, source, ...reject }: Reject) {
  return { ...reject, application: source };
}

type Listing = (
  size: number,
  cursor: string | undefined,
) => Promise<{ results: object[]; next: string | undefined }>;

/** A page of a list that is kept in order of arrival: what lies before it is stepped over. */
async function paged({ query }: RouteRequest, path: string, count: number, list: Listing) {
  const limit =
    query.limit === undefined ? limits.page_rows_default : whole('limit', query.limit, 1, limits.page_rows);
  const offset = query.offset === undefined ? 0 : whole('offset', query.offset, 0, limits.offset_rows);
  let cursor: string | undefined;
  for (let left = offset; left > 0 && (cursor !== undefined || left === offset); ) {
    const size = Math.min(left, limits.page_rows);
    cursor = (await list(size, cursor)).next;
    left -= size;
  }
  const results = offset >= count ? [] : (await list(limit, cursor)).results;
  const at = (start: number): string => {
    const parameters = new URLSearchParams(query as Record<string, string>);
    parameters.set('limit', String(limit));
    parameters.set('offset', String(start));
    return `${path}?${parameters}`;
  };
  return {
    body: {
      count,
      next: offset + limit < count && offset + limit <= limits.offset_rows ? at(offset + limit) : null,
      previous: offset > 0 ? at(Math.max(0, offset - limit)) : null,
      results,
    },
  };
}

function whole(name: string, given: string, least: number, most: number): number {
  if (/^[0-9]{1,9}$/.test(given) && Number(given) >= least && Number(given) <= most) return Number(given);
  const beyond = name === 'offset' ? '; GET /v1/events reaches everything, with a cursor' : '';
  throw new TallybookError(
    'bad_request',
    `${name} is ${given}; expected a whole number from ${least} to ${most}${beyond}`,
  );
}
