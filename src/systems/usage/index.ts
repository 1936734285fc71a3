/** Usage of telecom subscriptions (SPEC 2): raw records of data and voice, who exceeds, what was used, allowances. */
import type { RouteRequest, System } from '../system.ts';
import { allowanceRoute, allowancesRoute } from './allowances.ts';
import { priceLimitRoute, usageMetricsRoute } from './established.ts';
import { exceedingRoute } from './exceeding.ts';
import { metricsRoute } from './metrics.ts';
import { plansStream, subscriptionsStream, usageStream } from './streams.ts';

export const usageSystem: System = {
  name: 'usage',
  streams: [usageStream, plansStream, subscriptionsStream],
  records: [
    { path: '/v1/usage/data', stream: usageStream, form: 'data', plural: 'data records', mode: 'insert' },
    { path: '/v1/usage/voice', stream: usageStream, form: 'voice', plural: 'voice records', mode: 'insert' },
    { path: '/v1/usage/plans', stream: plansStream, plural: 'plans', mode: 'upsert' },
    { path: '/v1/usage/subscriptions', stream: subscriptionsStream, plural: 'subscriptions', mode: 'upsert' },
  ],
  routes: [exceedingRoute, metricsRoute, allowancesRoute, allowanceRoute, priceLimitRoute, usageMetricsRoute],
};

/**
 * The same figures where the raw records are kept elsewhere, and are neither written nor read here. Plans and
 * subscriptions are.
 */
export function usageSystemOver(ask: RouteRequest['ask']): System {
  return {
    ...usageSystem,
    streams: usageSystem.streams.filter((stream) => stream !== usageStream),
    records: usageSystem.records.filter(({ stream }) => stream !== usageStream),
    routes: usageSystem.routes.map((route) => ({
      ...route,
      answer: (request) => route.answer({ ...request, ask }),
    })),
  };
}
