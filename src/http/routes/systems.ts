/** The addresses of the systems (src/systems), mounted. */
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { jsonOf } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route, RouteAnswer, RouteRequest, System } from '../../systems/system.ts';
import { readIntoMemory } from '../bodies.ts';
import { idempotencyKeyOf } from '../deliveries.ts';
import { tellOrigin } from '../formats.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import { sendReceipt } from '../receipts.ts';
import { systemAddress } from '../records-address.ts';
import { EventsSchema, problems } from '../schemas.ts';
import { sendEvents } from '../server-sent-events.ts';
import { receiveUpload, sentFile, takeFiles } from '../uploads.ts';
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
    for (const taking of ['json', 'files', 'bytes'] as const)
      app.register(async (scope) => mount(scope, tallybook, system, taking));
    watchBeside(app, tallybook, system);
  }
}

/** Only a server that listens watches: a command that asks something in its own process does not. */
function watchBeside(app: FastifyInstance, tallybook: Tallybook, { watch }: System): void {
  if (!watch) return;
  let watching: ReturnType<typeof watch> | undefined;
  app.addHook('onListen', async () => {
    watching = watch(tallybook);
  });
  app.addHook('preClose', async () => {
    await watching?.stop();
  });
}

type Taking = 'json' | 'files' | 'bytes';

function takingOf({ takes }: Route): Taking {
  if (takes && 'file' in takes) return 'files';
  return takes && 'bytes' in takes ? 'bytes' : 'json';
}

/** Lets the routes of this scope take a body of any type, in memory, as it came. */
function takeBytes(app: FastifyInstance, tallybook: Tallybook): void {
  app.removeAllContentTypeParsers();
  const spoolPath = () => tallybook.spoolPath();
  // Before the body is read: what cannot be taken in is not even received.
  app.addHook('preParsing', (_request, _reply, _payload, done) => {
    try {
      tallybook.refuseWhenFull();
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  app.addContentTypeParser('*', (request, payload, done) => {
    readIntoMemory(request, payload, { spoolPath, most: limits.memory_body_bytes }, done);
  });
}

/** The routes of one scope take bodies of the same kind. */
function mount(app: FastifyInstance, tallybook: Tallybook, system: System, taking: Taking): void {
  if (taking === 'files') takeFiles(app);
  if (taking === 'bytes') takeBytes(app, tallybook);
  for (const route of system.routes) {
    if (takingOf(route) !== taking) continue;
    mountRoute(app, tallybook, system.name, route, route.path, false);
    if (route.path.endsWith('/'))
      mountRoute(app, tallybook, system.name, route, route.path.slice(0, -1), true);
  }
}

function mountRoute(
  app: FastifyInstance,
  tallybook: Tallybook,
  tag: string,
  route: Route,
  url: string,
  hidden: boolean,
): void {
  const { method, scope, streams, params, query, takes, paged, answers } = route;
  app.route({
    method,
    url,
    ...(answers === 'events' ? { exposeHeadRoute: false } : {}),
    config: {
      scope,
      streams: streams.map(({ name }) => name),
      hidden,
      ...(takes && 'file' in takes
        ? { takes: { types: [...takes.file, 'application/octet-stream', 'multipart/form-data'] } }
        : {}),
      ...(takes && 'bytes' in takes ? { takes: { types: [...takes.bytes], idempotencyKey: true } } : {}),
      ...(route.keyIn ? { keyIn: (body) => (Buffer.isBuffer(body) ? route.keyIn!(body) : undefined) } : {}),
    },
    schema: {
      summary: route.summary,
      description: route.description,
      tags: [tag],
      ...(params ? { params } : {}),
      ...(takes && 'json' in takes ? { body: takes.json } : {}),
      querystring: Type.Object({ ...query?.properties, ...(paged ? { page_size, cursor } : {}) }, closed),
      response: {
        ...(answers === 'events' ? { 200: EventsSchema } : oneSchema(answers) ? { 200: answers } : answers),
        ...problems,
      },
    },
    handler: (request, reply) => answer(tallybook, route, request, reply),
  });
}

function oneSchema(answers: TSchema | Readonly<Record<number, TSchema>>): answers is TSchema {
  return !Object.keys(answers).every((status) => /^[1-5]\d\d$/.test(status));
}

async function answer(
  tallybook: Tallybook,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const upload =
    route.takes && 'file' in route.takes
      ? await receiveUpload(await sentFile(request), tallybook.spoolPath())
      : undefined;
  const lastEventId = request.headers['last-event-id'];
  let answered: RouteAnswer;
  try {
    answered = await route.answer({
      tallybook,
      ask: (stream, question) => tallybook.ask(stream, question),
      params: request.params as RouteRequest['params'],
      query: request.query as RouteRequest['query'],
      page: pageOf(request),
      source: request.source,
      body: takingOf(route) === 'json' ? request.body : undefined,
      bodyText: request.bodyText,
      upload,
      bytes: Buffer.isBuffer(request.body) ? request.body : undefined,
      contentType: request.headers['content-type'] ?? '',
      idempotencyKey: idempotencyKeyOf(request),
      lastEventId: lastEventId === undefined ? undefined : String(lastEventId),
    });
  } catch (error) {
    if (upload) await rm(upload.path, { force: true });
    throw error;
  }
  if ('receipt' in answered) {
    const { status, receipt, list } = answered;
    return sendReceipt(reply.code(status), receipt, list === 'verdicts');
  }
  if ('events' in answered) {
    const events = sendEvents(request, reply, tallybook.sources);
    answered.events(events).catch((error: unknown) => {
      tallybook.log.error({ err: error }, `${route.path}: events could not be sent on`);
      events.end('error', { detail: 'come again with the last id' });
    });
    return reply;
  }
  if ('text' in answered) {
    reply.header('content-type', answered.contentType);
    if (answered.fileName !== undefined)
      reply.header('content-disposition', `attachment; filename="${answered.fileName}"`);
    return reply.send(Readable.from(answered.text, { objectMode: false }));
  }
  const { status, headers, body, next, origin } = answered;
  linkNext(request, reply, next);
  if (origin) tellOrigin(reply, origin);
  return reply
    .code(status ?? 200)
    .headers({ ...headers })
    .header('content-type', 'application/json; charset=utf-8')
    .send(jsonOf(body));
}
