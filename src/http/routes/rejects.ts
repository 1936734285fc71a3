/** Rejects over HTTP (SPEC 1.5): list, group, look at, fix and replay, discard. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { objectMembers } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import {
  type RejectChoice,
  type RejectFilter,
  type RejectGrouping,
  rejectGroupings,
} from '../../engine/rejects.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { checkStreamAllowed } from '../auth.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import { DiscardSchema, problems, RejectDetailSchema, RejectsSchema, ReplaySchema } from '../schemas.ts';
import { closed } from './parameters.ts';

const text = (description: string) => Type.Optional(Type.String({ maxLength: 512, description }));
const filterFields = {
  stream: text('Of this stream.'),
  source: text('Sent by this source.'),
  code: text('Refused with this code.'),
  field: text('Refused for this field.'),
  import: Type.Optional(Type.Integer({ minimum: 1, description: 'Brought by this import.' })),
  from: text('Refused at this time or later.'),
  to: text('Refused before this time.'),
};
const ListQuery = Type.Object(
  {
    ...filterFields,
    group_by: text(`One or more of ${rejectGroupings.join(', ')}, separated by commas.`),
    ...pageParameters,
  },
  closed,
);
const Filter = Type.Object(filterFields, closed);
const Ids = Type.Array(Type.String({ maxLength: 100 }), { minItems: 1, maxItems: limits.replay_rejects });
const Reason = Type.String({
  minLength: 1,
  maxLength: limits.reason_characters,
  description: 'Why; it is kept.',
});
const ReplayBody = Type.Object(
  {
    ids: Type.Optional(Ids),
    filter: Type.Optional(Filter),
    patch: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'A JSON merge patch (RFC 7396) for each record; every digit of it is kept.',
      }),
    ),
    mode: Type.Optional(
      Type.Enum(['insert', 'upsert'], { description: 'Else the mode in which it was sent first.' }),
    ),
  },
  closed,
);
const DiscardBody = Type.Object(
  { ids: Type.Optional(Ids), filter: Type.Optional(Filter), reason: Reason },
  closed,
);
const RejectParams = Type.Object({ id: Type.String({ maxLength: 100 }) });

type FilterText = Static<typeof Filter>;

export function rejectRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  const { rejects } = tallybook;

  app.get<{ Querystring: FilterText & { group_by?: string } }>(
    '/v1/rejects',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'List or group rejects',
        description: 'Those that are open: neither replayed nor discarded.',
        tags: ['rejects'],
        querystring: ListQuery,
        response: { 200: RejectsSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { group_by: grouping, ...query } = request.query;
      const filter = filterOf(request, query);
      if (grouping !== undefined) return { groups: await rejects.group(filter, groupingOf(grouping)) };
      const { rejects: listed, next } = await rejects.list(filter, pageOf(request));
      linkNext(request, reply, next);
      return { rejects: listed, ...(next === undefined ? {} : { next }) };
    },
  );

  app.get<{ Params: { id: string } }>(
    '/v1/rejects/:id',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'A reject with its original',
        description: '`left` tells when and why it left the list, if it has.',
        tags: ['rejects'],
        params: RejectParams,
        response: { 200: RejectDetailSchema, ...problems },
      },
    },
    async (request) => {
      const reject = await rejects.get(request.params.id);
      checkStreamAllowed(request.source, reject.stream);
      return reject;
    },
  );

  app.post<{ Body: Static<typeof ReplayBody> }>(
    '/v1/rejects/replay',
    {
      config: { scope: 'ingest' },
      schema: {
        summary: 'Send rejects again',
        description: `By ids or by a filter, changed by a patch if one is given. What passes counts once and leaves the list in the same commit. At most ${limits.replay_rejects} at a time, oldest first; \`more\` tells that there are others.`,
        tags: ['rejects'],
        querystring: Type.Object({}, closed),
        body: ReplayBody,
        response: { 200: ReplaySchema, ...problems },
      },
    },
    (request) => {
      const patch = objectMembers(request.bodyText)?.members.get('patch');
      return rejects.replay(choiceOf(request, request.body), patch, request.body.mode);
    },
  );

  app.delete<{ Params: { id: string }; Querystring: { reason: string } }>(
    '/v1/rejects/:id',
    {
      config: { scope: 'ingest' },
      schema: {
        summary: 'Discard a reject',
        tags: ['rejects'],
        params: RejectParams,
        querystring: Type.Object({ reason: Reason }, closed),
        response: { 200: DiscardSchema, ...problems },
      },
    },
    async (request) => {
      const { id, stream } = await rejects.get(request.params.id);
      checkStreamAllowed(request.source, stream);
      return rejects.discard({ ids: [id] }, request.query.reason);
    },
  );

  app.delete<{ Body: Static<typeof DiscardBody> }>(
    '/v1/rejects',
    {
      config: { scope: 'ingest' },
      schema: {
        summary: 'Discard rejects',
        description: 'By ids or by a filter.',
        tags: ['rejects'],
        querystring: Type.Object({}, closed),
        body: DiscardBody,
        response: { 200: DiscardSchema, ...problems },
      },
    },
    (request) => rejects.discard(choiceOf(request, request.body), request.body.reason),
  );
}

/** With the streams that the caller's key may see. */
function filterOf(request: FastifyRequest, { ...given }: FilterText): RejectFilter {
  return { ...given, among: request.source.streams };
}

function choiceOf(
  request: FastifyRequest,
  { ids, filter }: { ids?: string[]; filter?: FilterText },
): RejectChoice {
  if ((ids === undefined) === (filter === undefined)) {
    throw new TallybookError('bad_request', 'give either ids or filter; an empty filter {} means all');
  }
  return ids ? { ids, among: request.source.streams } : { filter: filterOf(request, filter!) };
}

function groupingOf(given: string): RejectGrouping[] {
  return given.split(',').map((part) => {
    const grouping = rejectGroupings.find((known) => known === part.trim());
    if (!grouping)
      throw new TallybookError(
        'bad_request',
        `group_by names ${part}; expected one or more of ${rejectGroupings.join(', ')}`,
      );
    return grouping;
  });
}
