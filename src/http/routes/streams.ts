/** Streams: what is declared, and declaring it (SPEC 1.1). */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { DeclarationSchema, type StreamDeclaration } from '../../engine/declaration.ts';
import { recordSchema } from '../../engine/json-schema.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { problems } from '../schemas.ts';
import { closed, StreamParams } from './parameters.ts';

const StreamSchema = Type.Object(
  {
    name: Type.String(),
    declaration: DeclarationSchema,
    record_schema: Type.Unknown({ description: 'The JSON Schema of a record.' }),
  },
  closed,
);
const StreamsSchema = Type.Object({ streams: Type.Array(StreamSchema) }, closed);

export function streamRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  app.get(
    '/v1/streams',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'List the streams',
        tags: ['streams'],
        querystring: Type.Object({}, closed),
        response: { 200: StreamsSchema, ...problems },
      },
    },
    (request, reply) => {
      const { streams: allowed } = request.source;
      const streams = tallybook.streams.list().filter(({ name }) => !allowed || allowed.includes(name));
      reply.send({ streams: streams.map(shown) });
    },
  );

  app.get<{ Params: { stream: string } }>(
    '/v1/streams/:stream',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'A stream',
        tags: ['streams'],
        params: StreamParams,
        response: { 200: StreamSchema, ...problems },
      },
    },
    (request, reply) => {
      reply.send(shown(tallybook.streams.get(request.params.stream)));
    },
  );

  app.put<{ Params: { stream: string } }>(
    '/v1/streams/:stream',
    {
      config: { scope: 'admin', documentedBody: DeclarationSchema },
      schema: {
        summary: 'Declare a stream, or change it',
        description:
          'A stream may get new nullable fields and new rollups while it runs; a new rollup counts what came before it. A change that would alter what is stored is refused.',
        tags: ['streams'],
        params: StreamParams,
        response: { 200: StreamSchema, 201: StreamSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { stream, created } = await tallybook.streams.put(
        request.params.stream,
        request.body as StreamDeclaration,
      );
      return reply.code(created ? 201 : 200).send(shown(stream));
    },
  );
}

function shown(stream: Stream): { name: string; declaration: StreamDeclaration; record_schema: object } {
  return { name: stream.name, declaration: stream.declaration, record_schema: recordSchema(stream) };
}
