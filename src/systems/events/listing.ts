/** Lists of events, and of what was refused of them: with a cursor, and by offset as applications know it. */
import { type TSchema, Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Page } from '../../engine/pages.ts';
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
    const { records, next } = await tallybook.records(eventsStream.name, asked, {
      size: page.size,
      cursor: page.cursor,
      newestFirst,
    });
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
  offset: Type.Optional(
    Type.String({
      maxLength: 20,
      description: `At most ${limits.offset_rows}; what lies behind is reached by following \`next\`.`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 200, description: 'Where the page begins, as `next` and `previous` give it.' }),
  ),
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
    const elsewhere = 'GET /v1/events';
    return paged(
      request,
      { path: '/theeye/events/', elsewhere, count: Number(rows[0]![0]) },
      async (page) => {
        const { records, next } = await tallybook.records(eventsStream.name, asked, page);
        return { results: records.map((entry) => shownEvent(stream, entry)), next };
      },
    );
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
    const elsewhere = 'GET /v1/rejects?stream=events';
    return paged(request, { path: '/theeye/errors/', elsewhere, count }, async (page) => {
      const { rejects, next } = await tallybook.rejects.list(filter, page);
      return { results: rejects.map(shownReject), next };
    });
  },
};

export function shownReject({ stream: _, source, ...reject }: Reject) {
  return { ...reject, application: source };
}

type Listing = (page: Page) => Promise<{ results: object[]; next: string | undefined }>;

interface ListToPage {
  path: string;
  /** What lists the same with a cursor from the start. */
  elsewhere: string;
  count: number;
}

/**
 * A page of a list that is kept in order of arrival: what lies before it is stepped over. That is bounded; pages behind the
 * bound are reached by links that have a cursor beside the offset.
 */
async function paged({ query }: RouteRequest, { path, elsewhere, count }: ListToPage, list: Listing) {
  const limit =
    query.limit === undefined ? limits.page_rows_default : whole('limit', query.limit, 1, limits.page_rows);
  const furthest = query.cursor === undefined ? limits.offset_rows : 999_999_999;
  const hint = `; follow \`next\`, or ask ${elsewhere}, which reaches everything with a cursor`;
  const offset = query.offset === undefined ? 0 : whole('offset', query.offset, 0, furthest, hint);
  const cursor = query.cursor ?? (await stepOver(list, offset));
  const isBehindAll = cursor === undefined && offset > 0;
  const { results, next } = isBehindAll
    ? { results: [], next: undefined }
    : await list({ size: limit, cursor, newestFirst: true });
  const at = (start: number, cursorThere: string | undefined): string | null => {
    if (start > limits.offset_rows && cursorThere === undefined) return null;
    const { cursor: _, ...rest } = query as Record<string, string>;
    const parameters = new URLSearchParams(rest);
    parameters.set('limit', String(limit));
    parameters.set('offset', String(start));
    if (start > limits.offset_rows) parameters.set('cursor', cursorThere!);
    return `${path}?${parameters}`;
  };
  const before = Math.max(0, offset - limit);
  const cursorBefore =
    before > limits.offset_rows ? (await list({ size: limit, cursor, newestFirst: false })).next : undefined;
  return {
    body: {
      count,
      next: next === undefined ? null : at(offset + limit, next),
      previous: offset > 0 ? at(before, cursorBefore) : null,
      results,
    },
  };
}

/** The cursor behind so many rows; undefined where there are no more, or none are meant. */
async function stepOver(list: Listing, rows: number): Promise<string | undefined> {
  let cursor: string | undefined;
  for (let left = rows; left > 0 && (cursor !== undefined || left === rows); ) {
    const size = Math.min(left, limits.page_rows);
    cursor = (await list({ size, cursor, newestFirst: true })).next;
    left -= size;
  }
  return cursor;
}

function whole(name: string, given: string, least: number, most: number, hint = ''): number {
  if (/^[0-9]{1,9}$/.test(given) && Number(given) >= least && Number(given) <= most) return Number(given);
  throw new TallybookError(
    'bad_request',
    `${name} is ${given}; expected a whole number from ${least} to ${most}${hint}`,
  );
}
