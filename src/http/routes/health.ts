/** Whether the process lives, whether it takes requests, and its figures for Prometheus. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Metrics } from '../metrics.ts';
import { problems } from '../schemas.ts';
import { closed } from './parameters.ts';

const HealthSchema = Type.Object({ status: Type.Literal('ok'), version: Type.String() }, closed);
const tags = ['operations'];

export interface HealthOptions {
  version: string;
  metrics: Metrics;
  /** Throws when requests are not taken. */
  refuse: () => Promise<void>;
}

export function healthRoutes(app: FastifyInstance, { version, metrics, refuse }: HealthOptions): void {
  app.get(
    '/healthz',
    {
      config: { scope: 'public' },
      schema: { summary: 'The process lives', tags, response: { 200: HealthSchema } },
    },
    (_request, reply) => {
      reply.send({ status: 'ok', version });
    },
  );

  app.get(
    '/readyz',
    {
      config: { scope: 'public', probe: true },
      schema: {
        summary: 'Requests are taken',
        description:
          '503 while the server stops, while nothing more is taken in, or when the database has given up; 507 while the disk is full.',
        tags,
        response: { 200: HealthSchema, ...problems },
      },
    },
    async () => {
      await refuse();
      return { status: 'ok' as const, version };
    },
  );

  app.get(
    '/metrics',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'Figures for Prometheus',
        tags,
        response: {
          200: { description: 'Text', content: { 'text/plain': { schema: { type: 'string' } } } },
          ...problems,
        },
      },
    },
    async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
