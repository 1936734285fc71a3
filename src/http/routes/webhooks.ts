/** Webhooks over HTTP (SPEC 1.8): where notifications are posted to, and what became of each attempt. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Webhook } from '../../engine/webhook-queue.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import {
  DeliveriesSchema,
  DeliverySchema,
  nullable,
  PutWebhookSchema,
  problems,
  WebhookSchema,
  WebhooksSchema,
} from '../schemas.ts';
import { closed } from './parameters.ts';

const WebhookBody = Type.Object(
  {
    url: Type.String({ description: 'http or https, without user name and password.' }),
    secret: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'whsec_ and 24 to 64 bytes in base64; made when not given, and shown once.',
      }),
    ),
    alerts: Type.Optional(
      nullable(
        Type.Array(Type.String(), { maxItems: limits.alerts_max, description: 'Of these; null: of all.' }),
      ),
    ),
    enabled: Type.Optional(Type.Boolean({ description: 'true when not given' })),
  },
  closed,
);
const WebhookParams = Type.Object({ name: Type.String({ maxLength: 100 }) });
const DeliveryParams = Type.Object({
  name: Type.String({ maxLength: 100 }),
  id: Type.String({ maxLength: 100 }),
});
interface ByName {
  Params: { name: string };
}
const config = { scope: 'admin' } as const;
const tags = ['alerts'];

export function webhookRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  const { webhooks } = tallybook;

  app.get(
    '/v1/webhooks',
    {
      config,
      schema: { summary: 'List the webhooks', tags, response: { 200: WebhooksSchema, ...problems } },
    },
    (_request, reply) => {
      reply.send({ webhooks: webhooks.list().map(shown) });
    },
  );

  app.get<ByName>(
    '/v1/webhooks/:name',
    {
      config,
      schema: {
        summary: 'A webhook',
        tags,
        params: WebhookParams,
        response: { 200: WebhookSchema, ...problems },
      },
    },
    async (request) => shown(webhooks.get(request.params.name)),
  );

  app.put<ByName & { Body: Static<typeof WebhookBody> }>(
    '/v1/webhooks/:name',
    {
      config,
      schema: {
        summary: 'Make a webhook, or change it',
        description:
          'It gets what is told from now on. A secret that is not given is made, and shown this once.',
        tags,
        params: WebhookParams,
        body: WebhookBody,
        response: { 200: PutWebhookSchema, 201: PutWebhookSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { webhook, created, newSecret } = await webhooks.put(request.params.name, request.body);
      const secret = newSecret === undefined ? {} : { secret: newSecret };
      return reply.code(created ? 201 : 200).send({ ...shown(webhook), ...secret });
    },
  );

  app.delete<ByName>(
    '/v1/webhooks/:name',
    {
      config,
      schema: {
        summary: 'Remove a webhook',
        tags,
        params: WebhookParams,
        response: { 204: Type.Null(), ...problems },
      },
    },
    async (request, reply) => {
      await webhooks.remove(request.params.name);
      return reply.code(204).send();
    },
  );

  app.get<ByName>(
    '/v1/webhooks/:name/deliveries',
    {
      config,
      schema: {
        summary: 'Every attempt to post to a webhook',
        description: 'Newest first, unless order says otherwise.',
        tags,
        params: WebhookParams,
        querystring: Type.Object(pageParameters, closed),
        response: { 200: DeliveriesSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { attempts, next } = await webhooks.attempts(request.params.name, pageOf(request));
      linkNext(request, reply, next);
      return { deliveries: attempts, ...(next === undefined ? {} : { next }) };
    },
  );

  app.post<{ Params: { name: string; id: string } }>(
    '/v1/webhooks/:name/deliveries/:id/redeliver',
    {
      config,
      schema: {
        summary: 'Post the notification of a delivery once more',
        description: 'Now, out of turn; the answer is the new attempt.',
        tags,
        params: DeliveryParams,
        response: { 200: DeliverySchema, ...problems },
      },
    },
    (request) => webhooks.redeliver(request.params.name, request.params.id),
  );
}

/** All but the secret. */
function shown({ name, url, alerts, enabled }: Webhook): Static<typeof WebhookSchema> {
  return { name, url, alerts: alerts ?? null, enabled };
}
