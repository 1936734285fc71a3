/** Sources and their keys over HTTP (SPEC 1.7). */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { limits } from '../../engine/limits.ts';
import { type Source, scopes, sourceNamePattern } from '../../engine/sources.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { NewKeySchema, nullable, problems, SourceSchema } from '../schemas.ts';
import { closed } from './parameters.ts';

const settings = {
  scopes: Type.Array(Type.Enum([...scopes]), {
    minItems: 1,
    uniqueItems: true,
    description: 'admin includes the others.',
  }),
  streams: Type.Optional(
    nullable(
      Type.Array(Type.String(), {
        maxItems: limits.streams_max,
        description: 'Those it may use; null: all.',
      }),
    ),
  ),
  origins: Type.Optional(
    nullable(
      Type.Array(Type.String(), {
        maxItems: 100,
        description: 'Web pages that may use its keys, as https://app.example.com.',
      }),
    ),
  ),
  rate_limit: Type.Optional(
    nullable(Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'Requests a minute.' })),
  ),
};
const CreateBody = Type.Object({ name: Type.String({ pattern: sourceNamePattern }), ...settings }, closed);
const ChangeBody = Type.Object({ ...settings, scopes: Type.Optional(settings.scopes) }, closed);
const SourcesSchema = Type.Object({ sources: Type.Array(SourceSchema) }, closed);
const SourceParams = Type.Object({ name: Type.String({ maxLength: 100 }) });
const KeyParams = Type.Object({
  name: Type.String({ maxLength: 100 }),
  key: Type.String({ maxLength: 100 }),
});
interface ByName {
  Params: { name: string };
}
const config = { scope: 'admin' } as const;
const tags = ['sources'];

export function sourceRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  const { sources } = tallybook;

  app.get(
    '/v1/sources',
    { config, schema: { summary: 'List sources', tags, response: { 200: SourcesSchema, ...problems } } },
    (_request, reply) => {
      reply.send({ sources: sources.list().map(shown) });
    },
  );

  app.post<{ Body: Static<typeof CreateBody> }>(
    '/v1/sources',
    {
      config,
      schema: {
        summary: 'Make a source, with one key',
        tags,
        body: CreateBody,
        response: { 201: NewKeySchema, ...problems },
      },
    },
    async (request, reply) => {
      const { name, scopes, streams, origins, rate_limit: rateLimit } = request.body;
      const { source, key } = await sources.create(name, {
        scopes,
        streams: streams ?? undefined,
        origins: origins ?? undefined,
        rateLimit: rateLimit ?? undefined,
      });
      reply.code(201).header('location', `/v1/sources/${name}`);
      return { source: shown(source), id: source.keys[0]!.id, key };
    },
  );

  app.get<ByName>(
    '/v1/sources/:name',
    {
      config,
      schema: {
        summary: 'A source',
        tags,
        params: SourceParams,
        response: { 200: SourceSchema, ...problems },
      },
    },
    async (request) => shown(sources.get(request.params.name)),
  );

  app.patch<ByName & { Body: Static<typeof ChangeBody> }>(
    '/v1/sources/:name',
    {
      config,
      schema: {
        summary: 'Change a source',
        description: 'What is not given stays; null takes a bound away.',
        tags,
        params: SourceParams,
        body: ChangeBody,
        response: { 200: SourceSchema, ...problems },
      },
    },
    async (request) => {
      const { rate_limit: rateLimit, ...rest } = request.body;
      return shown(await sources.change(request.params.name, { ...rest, rateLimit }));
    },
  );

  app.delete<ByName>(
    '/v1/sources/:name',
    {
      config,
      schema: {
        summary: 'Remove a source and its keys',
        tags,
        params: SourceParams,
        response: { 204: Type.Null(), ...problems },
      },
    },
    async (request, reply) => {
      await sources.remove(request.params.name);
      return reply.code(204).send();
    },
  );

  app.post<ByName>(
    '/v1/sources/:name/keys',
    {
      config,
      schema: {
        summary: 'Add a key',
        tags,
        params: SourceParams,
        response: { 201: NewKeySchema, ...problems },
      },
    },
    async (request, reply) => {
      const { source, id, key } = await sources.addKey(request.params.name);
      reply.code(201);
      return { source: shown(source), id, key };
    },
  );

  app.delete<{ Params: { name: string; key: string } }>(
    '/v1/sources/:name/keys/:key',
    {
      config,
      schema: {
        summary: 'Revoke a key',
        description: 'By its id.',
        tags,
        params: KeyParams,
        response: { 200: SourceSchema, ...problems },
      },
    },
    async (request) => shown(await sources.revokeKey(request.params.name, request.params.key)),
  );
}

function shown({ name, scopes, streams, origins, rateLimit, keys }: Source): Static<typeof SourceSchema> {
  return {
    name,
    scopes,
    streams: streams ?? null,
    origins: origins ?? null,
    rate_limit: rateLimit ?? null,
    keys: keys.map(({ id, created_at }) => ({ id, created_at })),
  };
}
