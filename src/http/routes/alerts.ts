/** Alerts over HTTP (SPEC 1.8): what is watched. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { AlertSchema } from '../../engine/alert-definition.ts';
import type { Alert } from '../../engine/alerts.ts';
import { formatTimestamp } from '../../engine/calendar.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { checkStreamAllowed } from '../auth.ts';
import { AlertsSchema, DefinedAlertSchema, problems } from '../schemas.ts';
import { closed } from './parameters.ts';

const AlertParams = Type.Object({ name: Type.String({ maxLength: 100 }) });
interface ByName {
  Params: { name: string };
}
const tags = ['alerts'];

export function alertRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  const { alerts, evaluation } = tallybook;
  const shown = (alert: Alert): Static<typeof DefinedAlertSchema> => ({
    name: alert.name,
    revision: alert.revision,
    defined_at: formatTimestamp(alert.recordedAt),
    definition: alert.definition,
    ...evaluation.stateOf(alert),
  });

  app.get(
    '/v1/alerts',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'List the alerts',
        tags,
        querystring: Type.Object({}, closed),
        response: { 200: AlertsSchema, ...problems },
      },
    },
    (request, reply) => {
      const { streams: allowed } = request.source;
      const listed = alerts
        .list()
        .filter(({ definition }) => !allowed || allowed.includes(definition.stream));
      reply.send({ alerts: listed.map(shown) });
    },
  );

  app.get<ByName>(
    '/v1/alerts/:name',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'An alert',
        tags,
        params: AlertParams,
        response: { 200: DefinedAlertSchema, ...problems },
      },
    },
    async (request) => {
      const alert = alerts.get(request.params.name);
      checkStreamAllowed(request.source, alert.definition.stream);
      return shown(alert);
    },
  );

  app.put<ByName>(
    '/v1/alerts/:name',
    {
      config: { scope: 'admin', documentedBody: AlertSchema },
      schema: {
        summary: 'Define an alert, or change it',
        description:
          'It is held against everything from the current period on, then against what every commit touches. Each threshold is told once for a key and a period.',
        tags,
        params: AlertParams,
        response: { 200: DefinedAlertSchema, 201: DefinedAlertSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { alert, created } = await alerts.put(request.params.name, request.body);
      return reply.code(created ? 201 : 200).send(shown(alert));
    },
  );

  app.delete<ByName>(
    '/v1/alerts/:name',
    {
      config: { scope: 'admin' },
      schema: {
        summary: 'Remove an alert',
        description: 'Its notifications stay.',
        tags,
        params: AlertParams,
        response: { 204: Type.Null(), ...problems },
      },
    },
    async (request, reply) => {
      await alerts.remove(request.params.name);
      return reply.code(204).send();
    },
  );
}
