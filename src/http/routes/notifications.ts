/** Notifications over HTTP (SPEC 1.8): listed, and as server-sent events from any one of them on. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { Doorbell } from '../../engine/doorbell.ts';
import { limits } from '../../engine/limits.ts';
import type { KeptNotification, NotificationFilter } from '../../engine/notifications.ts';
import { cursorOf, seqOfCursor } from '../../engine/pages.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Events } from '../../systems/system.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import { EventsSchema, type NotificationSchema, NotificationsSchema, problems } from '../schemas.ts';
import { sendEvents } from '../server-sent-events.ts';
import { closed } from './parameters.ts';

const about = {
  alert: Type.Optional(Type.String({ maxLength: 100 })),
  key: Type.Optional(
    Type.String({
      maxLength: limits.id_characters,
      description: 'The values of the dimensions, joined by commas.',
    }),
  ),
};
const times = {
  from: Type.Optional(Type.String({ maxLength: 60, description: 'Noticed from then on.' })),
  to: Type.Optional(Type.String({ maxLength: 60, description: 'Noticed before then.' })),
};
const tags = ['alerts'];
const atOnce = 100;

export function notificationRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  const { notifications } = tallybook;

  app.get(
    '/v1/notifications',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'List notifications',
        description: 'Newest first, unless order says otherwise.',
        tags,
        querystring: Type.Object({ ...about, ...times, ...pageParameters }, closed),
        response: { 200: NotificationsSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { notifications: found, next } = await notifications.list(filterOf(request), pageOf(request));
      linkNext(request, reply, next);
      return { notifications: found.map(shown), ...(next === undefined ? {} : { next }) };
    },
  );

  app.get(
    '/v1/notifications/events',
    {
      exposeHeadRoute: false,
      config: { scope: 'read' },
      schema: {
        summary: 'Notifications as server-sent events',
        description:
          'Events `notification`, each with an id, as they happen from now on; with the header Last-Event-ID from the one after that id on.',
        tags,
        querystring: Type.Object(about, closed),
        response: {
          200: EventsSchema,
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const last = request.headers['last-event-id'];
      const after =
        seqOfCursor(last === undefined ? undefined : String(last)) ?? (await notifications.lastSeq());
      const filter = filterOf(request);
      const events = sendEvents(request, reply, tallybook.sources);
      follow(tallybook, events, filter, after).catch((error: unknown) => {
        tallybook.log.error({ err: error }, 'notifications could not be sent on');
        events.end('error', { detail: 'come again with the last id' });
      });
    },
  );
}

/** Sends what comes after a place in the order of all, until the client goes. */
async function follow(
  { notifications }: Tallybook,
  events: Events,
  filter: NotificationFilter,
  after: string,
): Promise<void> {
  const bell = new Doorbell();
  const stop = notifications.subscribe(() => bell.ring());
  events.onClose(() => {
    stop();
    bell.ring();
  });
  let at = after;
  while (!events.closed) {
    const found = await notifications.after(at, filter, atOnce);
    for (const notification of found) {
      await events.each(cursorOf(notification), 'notification', shown(notification));
      at = notification.seq;
    }
    if (found.length === 0 && !events.closed) await bell.answered();
  }
}

function filterOf({ query, source }: FastifyRequest): NotificationFilter {
  return { ...(query as NotificationFilter), streams: source.streams };
}

function shown({ seq: _, ...notification }: KeptNotification): Static<typeof NotificationSchema> {
  return notification as Static<typeof NotificationSchema>;
}
