/** Behaviour of users on web sites (SPEC 3): events come in, are checked against their types, watched, asked and replayed. */
import type { System } from '../system.ts';
import { sendRoute, theeyeSendRoute } from './doors.ts';
import { listRoute, theeyeErrorsRoute, theeyeEventsRoute } from './listing.ts';
import { liveRoute } from './live.ts';
import { errorsRoute, warningsRoute } from './monitoring.ts';
import { segmentRoutes } from './segment.ts';
import { sessionRoute } from './sessions.ts';
import { eventsStream, sourcesBook, typesBook, warningsBook } from './streams.ts';
import {
  deleteTypeRoute,
  dryRunRoute,
  inferredRoute,
  listTypesRoute,
  putSourceRoute,
  putTypeRoute,
  replayRoute,
  sourcesRoute,
  typeRoute,
} from './type-routes.ts';
import { EventTypes } from './types.ts';

export const eventsSystem: System = {
  name: 'events',
  streams: [eventsStream],
  books: [typesBook, sourcesBook, warningsBook],
  open: EventTypes.open,
  records: [],
  routes: [
    sendRoute,
    listRoute,
    liveRoute,
    sessionRoute,
    listTypesRoute,
    typeRoute,
    putTypeRoute,
    deleteTypeRoute,
    dryRunRoute,
    inferredRoute,
    replayRoute,
    sourcesRoute,
    putSourceRoute,
    errorsRoute,
    warningsRoute,
    theeyeSendRoute,
    theeyeEventsRoute,
    theeyeErrorsRoute,
    ...segmentRoutes,
  ],
};
