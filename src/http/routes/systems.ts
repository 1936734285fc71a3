/** The addresses of the systems (src/systems), mounted. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { jsonOf } from '../../engine/exact-json.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route, RouteRequest, System } from '../../systems/system.ts';
import { tellOrigin } from '../formats.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import { systemAddress } from '../records-address.ts';
import { problems } from '../schemas.ts';
import { closed } from './parameters.ts';
import { recordRoutes } from './read.ts';
import { writeRoutes } from './write.ts';

const { page_size, cursor } = pageParameters;

export function systemRoutes(
  app: FastifyInstance,
  { tallybook, systems }: { tallybook: Tallybook; systems: readonly System[] },
): void {
  for (const system of systems) {
    for (const records of system.records) {
      const shared = { tallybook, address: systemAddress(tallybook, system, records) };
      // Writing has parsers of bodies of its own.
      app.register(async (scope) => writeRoutes(scope, shared));
      recordRoutes(app, shared);
    }
    for (const route of system.routes) mount(app, tallybook, system, route);
  }
}

function mount(app: FastifyInstance, tallybook: Tallybook, system: System, route: Route): void {
  const { method, path, scope, streams, params, query, paged, answers } = route;
  const mounted = (url: string, hidden: boolean): void => {
    app.route({
      method,
      url,
      config: { scope, streams: streams.map(({ name }) => name), hidden },
      schema: {
        summary: route.summary,
        description: route.description,
        tags: [system.name],
        ...(params ? { params } : {}),
        querystring: Type.Object({ ...query?.properties, ...(paged ? { page_size, cursor } : {}) }, closed),
        response: { 200: answers, ...problems },
      },
      handler: (request, reply) => answer(tallybook, route, request, reply),
    });
  };
  mounted(path, false);
  if (path.endsWith('/')) mounted(path.slice(0, -1), true);
}

async function answer(
  tallybook: Tallybook,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { body, next, origin } = await route.answer({
    tallybook,
    params: request.params as RouteRequest['params'],
    query: request.query as RouteRequest['query'],
    page: pageOf(request),
  });
  linkNext(request, reply, next);
  if (origin) tellOrigin(reply, origin);
  return reply.header('content-type', 'application/json; charset=utf-8').send(jsonOf(body));
}
