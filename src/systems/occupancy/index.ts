/** Occupancy (SPEC 5): how many people are in a space, at any time, from the passages that sensors report. */
import type { System } from '../system.ts';
import { watchCapacities } from './capacity.ts';
import { countRoute, countsRoute, seriesRoute } from './count-routes.ts';
import { healthRoute, unassignedRoute } from './health.ts';
import { liveRoute } from './live.ts';
import { planRoute } from './plan.ts';
import { resetRoute, resetsRoute } from './resets.ts';
import {
  assignmentsStream,
  doorwaysStream,
  passagesStream,
  resetRulesStream,
  resetsStream,
  sensorsStream,
  spacesStream,
} from './streams.ts';

export const occupancySystem: System = {
  name: 'occupancy',
  streams: [
    passagesStream,
    spacesStream,
    doorwaysStream,
    sensorsStream,
    assignmentsStream,
    resetsStream,
    resetRulesStream,
  ],
  records: [
    { path: '/v1/passages', stream: passagesStream, plural: 'passages', mode: 'insert' },
    { path: '/v1/spaces', stream: spacesStream, plural: 'spaces', mode: 'upsert' },
    { path: '/v1/doorways', stream: doorwaysStream, plural: 'doorways', mode: 'upsert' },
    { path: '/v1/sensors', stream: sensorsStream, plural: 'sensors', mode: 'upsert' },
    { path: '/v1/assignments', stream: assignmentsStream, plural: 'assignments', mode: 'upsert' },
    { path: '/v1/resets', stream: resetsStream, plural: 'resets', mode: 'upsert' },
    { path: '/v1/reset-rules', stream: resetRulesStream, plural: 'reset rules', mode: 'upsert' },
  ],
  routes: [
    countRoute,
    countsRoute,
    seriesRoute,
    liveRoute,
    resetRoute,
    resetsRoute,
    healthRoute,
    unassignedRoute,
    planRoute,
  ],
  watch: watchCapacities,
};
