/**
 * Every route with the scope it needs, as a table that fails when a route is missing from it, or is added without
 * a line here; and every scope tried on every route.
 */
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { systems } from '../../src/systems/systems.ts';
import { openApp, sale } from './open-app.ts';

type Scope = 'public' | 'ingest' | 'read' | 'admin';
const routes: [method: string, path: string, scope: Scope][] = [
  ['GET', '/healthz', 'public'],
  ['GET', '/readyz', 'public'],
  ['GET', '/metrics', 'read'],
  ['GET', '/openapi.json', 'public'],
  ['GET', '/docs', 'public'],
  ['GET', '/docs/reference.js', 'public'],
  ['OPTIONS', '*', 'public'],
  ['GET', '/', 'public'],
  ['GET', '/:view', 'public'],
  ['GET', '/:view/:item', 'public'],
  ['GET', '/assets/:file', 'public'],
  ['GET', '/v1/streams', 'read'],
  ['GET', '/v1/streams/:stream', 'read'],
  ['PUT', '/v1/streams/:stream', 'admin'],
  ['POST', '/v1/streams/:stream/records', 'ingest'],
  ['GET', '/v1/streams/:stream/records', 'read'],
  ['PUT', '/v1/streams/:stream/records/:id', 'ingest'],
  ['GET', '/v1/streams/:stream/records/:id', 'read'],
  ['DELETE', '/v1/streams/:stream/records/:id', 'ingest'],
  ['POST', '/v1/streams/:stream/retractions', 'ingest'],
  ['GET', '/v1/streams/:stream/query', 'read'],
  ['POST', '/v1/streams/:stream/query', 'read'],
  ['GET', '/v1/streams/:stream/explain', 'read'],
  ['POST', '/v1/usage/data', 'ingest'],
  ['GET', '/v1/usage/data', 'read'],
  ['PUT', '/v1/usage/data/:id', 'ingest'],
  ['GET', '/v1/usage/data/:id', 'read'],
  ['DELETE', '/v1/usage/data/:id', 'ingest'],
  ['POST', '/v1/usage/data/retractions', 'ingest'],
  ['POST', '/v1/usage/voice', 'ingest'],
  ['GET', '/v1/usage/voice', 'read'],
  ['PUT', '/v1/usage/voice/:id', 'ingest'],
  ['GET', '/v1/usage/voice/:id', 'read'],
  ['DELETE', '/v1/usage/voice/:id', 'ingest'],
  ['POST', '/v1/usage/voice/retractions', 'ingest'],
  ['POST', '/v1/usage/plans', 'ingest'],
  ['GET', '/v1/usage/plans', 'read'],
  ['PUT', '/v1/usage/plans/:id', 'ingest'],
  ['GET', '/v1/usage/plans/:id', 'read'],
  ['DELETE', '/v1/usage/plans/:id', 'ingest'],
  ['POST', '/v1/usage/plans/retractions', 'ingest'],
  ['POST', '/v1/usage/subscriptions', 'ingest'],
  ['GET', '/v1/usage/subscriptions', 'read'],
  ['PUT', '/v1/usage/subscriptions/:id', 'ingest'],
  ['GET', '/v1/usage/subscriptions/:id', 'read'],
  ['DELETE', '/v1/usage/subscriptions/:id', 'ingest'],
  ['POST', '/v1/usage/subscriptions/retractions', 'ingest'],
  ['GET', '/v1/usage/exceeding', 'read'],
  ['GET', '/v1/usage/metrics', 'read'],
  ['GET', '/v1/usage/allowances', 'read'],
  ['GET', '/v1/usage/subscriptions/:id/allowance', 'read'],
  ['GET', '/api/usage/price_limit', 'read'],
  ['GET', '/api/usage/price_limit/', 'read'],
  ['GET', '/api/usage/usage_metrics/:subscription_id', 'read'],
  ['GET', '/api/usage/usage_metrics/:subscription_id/', 'read'],
  ['POST', '/v1/events', 'ingest'],
  ['GET', '/v1/events', 'read'],
  ['GET', '/v1/events/live', 'read'],
  ['GET', '/v1/events/errors', 'read'],
  ['GET', '/v1/events/warnings', 'read'],
  ['GET', '/v1/sessions/:id', 'read'],
  ['GET', '/v1/event-types', 'read'],
  ['GET', '/v1/event-types/:category/:name', 'read'],
  ['PUT', '/v1/event-types/:category/:name', 'admin'],
  ['DELETE', '/v1/event-types/:category/:name', 'admin'],
  ['POST', '/v1/event-types/:category/:name/dry-run', 'read'],
  ['GET', '/v1/event-types/:category/:name/inferred', 'read'],
  ['POST', '/v1/event-types/:category/:name/replay', 'ingest'],
  ['GET', '/v1/event-sources', 'read'],
  ['PUT', '/v1/event-sources/:source', 'admin'],
  ['POST', '/theeye/events', 'ingest'],
  ['POST', '/theeye/events/', 'ingest'],
  ['GET', '/theeye/events', 'read'],
  ['GET', '/theeye/events/', 'read'],
  ['GET', '/theeye/errors', 'read'],
  ['GET', '/theeye/errors/', 'read'],
  ['POST', '/v1/batch', 'ingest'],
  ['POST', '/v1/b', 'ingest'],
  ['POST', '/v1/track', 'ingest'],
  ['POST', '/v1/t', 'ingest'],
  ['POST', '/v1/page', 'ingest'],
  ['POST', '/v1/p', 'ingest'],
  ['POST', '/v1/screen', 'ingest'],
  ['POST', '/v1/s', 'ingest'],
  ['POST', '/v1/identify', 'ingest'],
  ['POST', '/v1/i', 'ingest'],
  ['POST', '/v1/group', 'ingest'],
  ['POST', '/v1/g', 'ingest'],
  ['POST', '/v1/alias', 'ingest'],
  ['POST', '/v1/a', 'ingest'],
  ['POST', '/v1/passages', 'ingest'],
  ['GET', '/v1/passages', 'read'],
  ['PUT', '/v1/passages/:id', 'ingest'],
  ['GET', '/v1/passages/:id', 'read'],
  ['DELETE', '/v1/passages/:id', 'ingest'],
  ['POST', '/v1/passages/retractions', 'ingest'],
  ['POST', '/v1/spaces', 'ingest'],
  ['GET', '/v1/spaces', 'read'],
  ['PUT', '/v1/spaces/:id', 'ingest'],
  ['GET', '/v1/spaces/:id', 'read'],
  ['DELETE', '/v1/spaces/:id', 'ingest'],
  ['POST', '/v1/spaces/retractions', 'ingest'],
  ['POST', '/v1/doorways', 'ingest'],
  ['GET', '/v1/doorways', 'read'],
  ['PUT', '/v1/doorways/:id', 'ingest'],
  ['GET', '/v1/doorways/:id', 'read'],
  ['DELETE', '/v1/doorways/:id', 'ingest'],
  ['POST', '/v1/doorways/retractions', 'ingest'],
  ['POST', '/v1/sensors', 'ingest'],
  ['GET', '/v1/sensors', 'read'],
  ['PUT', '/v1/sensors/:id', 'ingest'],
  ['GET', '/v1/sensors/:id', 'read'],
  ['DELETE', '/v1/sensors/:id', 'ingest'],
  ['POST', '/v1/sensors/retractions', 'ingest'],
  ['POST', '/v1/assignments', 'ingest'],
  ['GET', '/v1/assignments', 'read'],
  ['PUT', '/v1/assignments/:id', 'ingest'],
  ['GET', '/v1/assignments/:id', 'read'],
  ['DELETE', '/v1/assignments/:id', 'ingest'],
  ['POST', '/v1/assignments/retractions', 'ingest'],
  ['POST', '/v1/resets', 'ingest'],
  ['GET', '/v1/resets', 'read'],
  ['PUT', '/v1/resets/:id', 'ingest'],
  ['GET', '/v1/resets/:id', 'read'],
  ['DELETE', '/v1/resets/:id', 'ingest'],
  ['POST', '/v1/resets/retractions', 'ingest'],
  ['POST', '/v1/reset-rules', 'ingest'],
  ['GET', '/v1/reset-rules', 'read'],
  ['PUT', '/v1/reset-rules/:id', 'ingest'],
  ['GET', '/v1/reset-rules/:id', 'read'],
  ['DELETE', '/v1/reset-rules/:id', 'ingest'],
  ['POST', '/v1/reset-rules/retractions', 'ingest'],
  ['GET', '/space/:id/count', 'read'],
  ['GET', '/v1/spaces/counts', 'read'],
  ['GET', '/v1/spaces/:id/counts', 'read'],
  ['GET', '/v1/spaces/events', 'read'],
  ['POST', '/v1/spaces/:id/resets', 'ingest'],
  ['GET', '/v1/spaces/:id/resets', 'read'],
  ['POST', '/v1/occupancy/plan', 'ingest'],
  ['GET', '/v1/sensors/health', 'read'],
  ['GET', '/v1/passages/unassigned', 'read'],
  ['POST', '/dsrs/import', 'ingest'],
  ['POST', '/dsrs/import/', 'ingest'],
  ['GET', '/dsrs', 'read'],
  ['GET', '/dsrs/', 'read'],
  ['GET', '/dsrs/:id', 'read'],
  ['GET', '/dsrs/:id/', 'read'],
  ['DELETE', '/dsrs/:id', 'admin'],
  ['DELETE', '/dsrs/:id/', 'admin'],
  ['GET', '/dsrs/:id/rejected', 'read'],
  ['PUT', '/dsrs/:id/rate', 'admin'],
  ['GET', '/resources/percentile/:number', 'read'],
  ['PUT', '/v1/rates', 'admin'],
  ['GET', '/v1/rates', 'read'],
  ['GET', '/v1/reports/statistics', 'read'],
  ['POST', '/v1/imports', 'ingest'],
  ['GET', '/v1/imports', 'read'],
  ['GET', '/v1/imports/:id', 'read'],
  ['GET', '/v1/imports/:id/events', 'read'],
  ['DELETE', '/v1/imports/:id', 'ingest'],
  ['GET', '/v1/rejects', 'read'],
  ['GET', '/v1/rejects/:id', 'read'],
  ['POST', '/v1/rejects/replay', 'ingest'],
  ['DELETE', '/v1/rejects/:id', 'ingest'],
  ['DELETE', '/v1/rejects', 'ingest'],
  ['GET', '/v1/alerts', 'read'],
  ['GET', '/v1/alerts/:name', 'read'],
  ['PUT', '/v1/alerts/:name', 'admin'],
  ['DELETE', '/v1/alerts/:name', 'admin'],
  ['GET', '/v1/notifications', 'read'],
  ['GET', '/v1/notifications/events', 'read'],
  ['GET', '/v1/webhooks', 'admin'],
  ['GET', '/v1/webhooks/:name', 'admin'],
  ['PUT', '/v1/webhooks/:name', 'admin'],
  ['DELETE', '/v1/webhooks/:name', 'admin'],
  ['GET', '/v1/webhooks/:name/deliveries', 'admin'],
  ['POST', '/v1/webhooks/:name/deliveries/:id/redeliver', 'admin'],
  ['GET', '/v1/sources', 'admin'],
  ['POST', '/v1/sources', 'admin'],
  ['GET', '/v1/sources/:name', 'admin'],
  ['PATCH', '/v1/sources/:name', 'admin'],
  ['DELETE', '/v1/sources/:name', 'admin'],
  ['POST', '/v1/sources/:name/keys', 'admin'],
  ['DELETE', '/v1/sources/:name/keys/:key', 'admin'],
  ['POST', '/v1/admin/verify', 'admin'],
  ['POST', '/v1/admin/compact', 'admin'],
  ['POST', '/v1/admin/backup', 'admin'],
];

/** Lines of Fastify's own tree: `├── /v1/streams (GET, HEAD)`, put together again to whole paths. */
function registered(tree: string): string[] {
  const found: string[] = [];
  const prefixes: string[] = [];
  for (const line of tree.split('\n')) {
    const match = /^((?:[│ ] {3})*)[├└]── (.*?)(?: \((.*)\))?$/.exec(line);
    if (!match) continue;
    const depth = match[1]!.length / 4;
    prefixes.length = depth;
    prefixes.push(match[2]!);
    for (const method of match[3]?.split(', ') ?? []) {
      if (method !== 'HEAD') found.push(`${method} ${prefixes.join('')}`);
    }
  }
  return found.sort();
}

test('the table names every route that is registered', async () => {
  const { app } = await openApp('memory', { systems, console: true });
  await app.ready();
  expect(registered(app.printRoutes({ commonPrefix: false }))).toEqual(
    routes.map(([method, path]) => `${method} ${path}`).sort(),
  );
});

function addressOf(path: string): string {
  return path
    .replace(':stream', 'sales')
    .replace(':id', '1')
    .replace(':subscription_id', '1')
    .replace(':name', 'none')
    .replace(':number', '1')
    .replace(':key', 'k');
}

test('every route with every scope: no key 401, the wrong scope 403, the right one gets through', async () => {
  const { app, tallybook } = await openApp('memory', { auth: true, systems, console: true });
  const keys: Record<string, string> = {};
  for (const scope of ['ingest', 'read', 'admin'] as const) {
    keys[scope] = (
      await tallybook.sources.create(scope, {
        scopes: [scope],
        streams: undefined,
        origins: undefined,
        rateLimit: undefined,
      })
    ).key;
  }
  const found: string[] = [];
  const expected: string[] = [];
  for (const [method, path, scope] of routes) {
    if (method === 'OPTIONS') continue;
    const url = addressOf(path);
    for (const given of ['none', 'unknown', 'ingest', 'read', 'admin']) {
      const authorization = given === 'none' ? undefined : `Bearer ${keys[given] ?? 'tb_unknown'}`;
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: authorization ? { authorization } : {},
        // Events go on for ever.
        payloadAsStream: true,
      });
      const { statusCode } = response;
      response.stream().destroy();
      const through = scope === 'public' || given === scope || given === 'admin';
      const refused = given === 'none' || given === 'unknown' ? 401 : 403;
      found.push(
        `${method} ${path} with ${given}: ${statusCode === 401 || statusCode === 403 ? statusCode : 'through'}`,
      );
      expected.push(`${method} ${path} with ${given}: ${through ? 'through' : refused}`);
    }
  }
  expect(found).toEqual(expected);
}, 60_000);

/**
 * What a key that is bound to one stream reaches beside the addresses of that stream: lists that show it what is of its
 * stream alone, and what says nothing of records. Of everything else it is refused.
 */
const openToBound = new Set([
  'GET /metrics',
  'GET /v1/streams',
  'GET /v1/imports',
  'GET /v1/imports/:id',
  'GET /v1/imports/:id/events',
  'DELETE /v1/imports/:id',
  'GET /v1/rejects',
  'GET /v1/rejects/:id',
  'POST /v1/rejects/replay',
  'DELETE /v1/rejects/:id',
  'DELETE /v1/rejects',
  'GET /v1/alerts',
  'GET /v1/alerts/:name',
  'GET /v1/notifications',
  'GET /v1/notifications/events',
]);

test('every route with a key that is bound to another stream: refused, but for what shows nothing of others', async () => {
  const { app, tallybook } = await openApp('memory', { auth: true, systems, console: true });
  const made = {
    scopes: ['ingest', 'read'] as Scope[],
    streams: ['clicks'],
    origins: undefined,
    rateLimit: undefined,
  };
  const { key } = await tallybook.sources.create(
    'bound',
    made as Parameters<typeof tallybook.sources.create>[1],
  );
  const through: string[] = [];
  for (const [method, path, scope] of routes) {
    if (scope === 'public' || scope === 'admin') continue;
    const url = addressOf(path) + (`${method} ${path}` === 'POST /v1/imports' ? '?stream=sales' : '');
    const headers = { authorization: `Bearer ${key}` };
    const response = await app.inject({ method: method as 'GET', url, headers, payloadAsStream: true });
    response.stream().destroy();
    if (response.statusCode !== 403) through.push(`${method} ${path}`);
  }
  expect(through.sort()).toEqual([...openToBound].sort());
}, 60_000);

test('a HEAD needs the key that its GET needs', async () => {
  const { app } = await openApp('memory', { auth: true, systems, console: true });
  for (const [method, path, scope] of routes) {
    if (method !== 'GET' || scope === 'public') continue;
    const { statusCode } = await app.inject({ method: 'HEAD', url: addressOf(path) });
    // Events have no HEAD.
    expect.soft([401, 404], path).toContain(statusCode);
  }
}, 60_000);

test('the OpenAPI page names every route but its own, and answers fit the schemas that it shows', async () => {
  const { send } = await openApp('memory', { systems });
  const { json: document } = await send('GET', '/openapi.json');
  const shown = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  );
  const hidden = new Set([
    '/openapi.json',
    '/docs',
    '/docs/reference.js',
    '*',
    '/',
    '/:view',
    '/:view/:item',
    '/assets/:file',
    // Described with their final slash.
    '/api/usage/price_limit',
    '/api/usage/usage_metrics/:subscription_id',
    '/theeye/events',
    '/theeye/errors',
    '/dsrs/import',
    '/dsrs',
    '/dsrs/:id',
  ]);
  expect(shown.sort()).toEqual(
    routes
      .filter(([, path]) => !hidden.has(path))
      .map(([method, path]) => `${method} ${path}`)
      .sort(),
  );
  expect(document.components.schemas['record.sales'].required).toEqual(['id', 'at', 'amount']);

  await send('POST', '/v1/sources', { name: 'first', scopes: ['admin'] });
  const record = sale('a', { data: { b: 1 }, paid: true });
  const visit = {
    id: 'v',
    session_id: 's',
    category: 'c',
    name: 'n',
    data: {},
    timestamp: '2026-01-01 10:00',
  };
  const schema = { type: 'object', required: ['path'] };
  const calls: [
    method: string,
    path: string,
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ][] = [
    ['PUT', '/v1/streams/{stream}', '/v1/streams/other', { fields: { a: { type: 'text' } } }],
    [
      'PUT',
      '/v1/streams/{stream}',
      '/v1/streams/other',
      { fields: { a: { type: 'text' }, b: { type: 'text' } } },
    ],
    ['GET', '/v1/streams', '/v1/streams'],
    ['GET', '/v1/streams/{stream}', '/v1/streams/sales'],
    ['POST', '/v1/streams/{stream}/records', '/v1/streams/sales/records', record],
    ['POST', '/v1/streams/{stream}/records', '/v1/streams/sales/records', record],
    ['POST', '/v1/streams/{stream}/records', '/v1/streams/sales/records', sale('a')],
    ['POST', '/v1/streams/{stream}/records', '/v1/streams/sales/records', sale('b', { amount: 'x' })],
    [
      'POST',
      '/v1/streams/{stream}/records',
      '/v1/streams/sales/records?verdicts=all',
      [sale('c'), sale('d', { nope: 1 })],
    ],
    ['PUT', '/v1/streams/{stream}/records/{id}', '/v1/streams/sales/records/c', sale('c', { amount: 9 })],
    ['DELETE', '/v1/streams/{stream}/records/{id}', '/v1/streams/sales/records/c'],
    ['POST', '/v1/streams/{stream}/retractions', '/v1/streams/sales/retractions', ['c']],
    ['GET', '/v1/streams/{stream}/records', '/v1/streams/sales/records?page_size=1'],
    ['GET', '/v1/streams/{stream}/records/{id}', '/v1/streams/sales/records/c'],
    [
      'GET',
      '/v1/streams/{stream}/query',
      '/v1/streams/sales/query?every=day&by=customer&measures=sum(amount),count',
    ],
    ['POST', '/v1/streams/{stream}/query', '/v1/streams/sales/query', { measures: ['avg(amount)'] }],
    ['GET', '/v1/streams/{stream}/explain', '/v1/streams/sales/explain?page_size=2'],
    [
      'POST',
      '/v1/imports',
      '/v1/imports?stream=sales',
      'id,at,amount\nz,2026-10-05 00:00:00,1\n',
      { 'content-type': 'text/csv' },
    ],
    [
      'POST',
      '/v1/usage/data',
      '/v1/usage/data',
      { id: 'a', subscription_id: 7, price: '12.5', usage_date: '2026-10-05 06:43', kilobytes_used: 9 },
    ],
    ['GET', '/v1/usage/data', '/v1/usage/data'],
    ['GET', '/v1/usage/data/{id}', '/v1/usage/data/a'],
    ['PUT', '/v1/usage/plans/{id}', '/v1/usage/plans/gold', { name: 'Gold', price: 30, data_available: 7 }],
    [
      'PUT',
      '/v1/usage/subscriptions/{id}',
      '/v1/usage/subscriptions/7',
      { carrier: 'att', plan: 'gold', status: 'active', effective_date: '2026-01-01' },
    ],
    ['GET', '/v1/usage/exceeding', '/v1/usage/exceeding?limit=10.00'],
    ['GET', '/v1/usage/metrics', '/v1/usage/metrics?from=2026-10-01&to=2026-10-31'],
    ['GET', '/v1/usage/allowances', '/v1/usage/allowances?month=2026-10'],
    ['GET', '/v1/usage/subscriptions/{id}/allowance', '/v1/usage/subscriptions/7/allowance?month=2026-10'],
    ['GET', '/api/usage/price_limit/', '/api/usage/price_limit/?price_limit=10'],
    ['GET', '/api/usage/usage_metrics/{subscription_id}/', '/api/usage/usage_metrics/7/'],
    ['POST', '/v1/events', '/v1/events', visit],
    ['POST', '/v1/events', '/v1/events?verdicts=all', [visit, { ...visit, data: 1 }]],
    ['POST', '/theeye/events/', '/theeye/events', { ...visit, id: 'x' }],
    ['GET', '/v1/events', '/v1/events?page_size=1'],
    ['GET', '/v1/sessions/{id}', '/v1/sessions/s'],
    ['GET', '/theeye/events/', '/theeye/events/?limit=1'],
    ['GET', '/theeye/errors/', '/theeye/errors/'],
    ['GET', '/v1/events/errors', '/v1/events/errors?every=day'],
    ['PUT', '/v1/event-types/{category}/{name}', '/v1/event-types/c/n', { schema, mode: 'warn' }],
    ['PUT', '/v1/event-types/{category}/{name}', '/v1/event-types/c/n', { schema, mode: 'warn' }],
    ['POST', '/v1/track', '/v1/track', { event: 'n', anonymousId: 's', category: 'c', messageId: 'm' }],
    ['GET', '/v1/events/warnings', '/v1/events/warnings'],
    ['GET', '/v1/event-types', '/v1/event-types'],
    ['GET', '/v1/event-types/{category}/{name}', '/v1/event-types/c/n'],
    ['POST', '/v1/event-types/{category}/{name}/dry-run', '/v1/event-types/c/n/dry-run', { sample: [{}] }],
    ['GET', '/v1/event-types/{category}/{name}/inferred', '/v1/event-types/c/n/inferred'],
    ['POST', '/v1/event-types/{category}/{name}/replay', '/v1/event-types/c/n/replay'],
    ['DELETE', '/v1/event-types/{category}/{name}', '/v1/event-types/c/n'],
    ['PUT', '/v1/event-sources/{source}', '/v1/event-sources/shop', { unknown_types: 'reject' }],
    ['GET', '/v1/event-sources', '/v1/event-sources'],
    ['GET', '/v1/imports', '/v1/imports'],
    ['GET', '/v1/imports/{id}', '/v1/imports/1'],
    ['DELETE', '/v1/imports/{id}', '/v1/imports/1'],
    ['GET', '/v1/rejects', '/v1/rejects?page_size=1'],
    ['GET', '/v1/rejects', '/v1/rejects?group_by=code,field'],
    [
      'POST',
      '/v1/rejects/replay',
      '/v1/rejects/replay',
      { filter: { code: 'invalid_value' }, patch: { amount: '3' } },
    ],
    ['DELETE', '/v1/rejects', '/v1/rejects', { filter: { code: 'conflict' }, reason: 'seen' }],
    [
      'PUT',
      '/v1/alerts/{name}',
      '/v1/alerts/spent',
      { stream: 'sales', measure: 'sum(amount)', by: ['customer'], period: 'all', limit: 1 },
    ],
    ['GET', '/v1/alerts', '/v1/alerts'],
    ['GET', '/v1/alerts/{name}', '/v1/alerts/spent'],
    ['GET', '/v1/notifications', '/v1/notifications?alert=spent'],
    ['PUT', '/v1/webhooks/{name}', '/v1/webhooks/hook', { url: 'https://example.com/', enabled: false }],
    ['PUT', '/v1/webhooks/{name}', '/v1/webhooks/hook', { url: 'https://example.com/', alerts: ['spent'] }],
    ['GET', '/v1/webhooks', '/v1/webhooks'],
    ['GET', '/v1/webhooks/{name}', '/v1/webhooks/hook'],
    ['GET', '/v1/webhooks/{name}/deliveries', '/v1/webhooks/hook/deliveries'],
    ['GET', '/v1/sources', '/v1/sources'],
    [
      'POST',
      '/v1/sources',
      '/v1/sources',
      { name: 'shop', scopes: ['ingest'], streams: ['sales'], origins: ['https://a.example'], rate_limit: 5 },
    ],
    ['GET', '/v1/sources/{name}', '/v1/sources/shop'],
    ['PATCH', '/v1/sources/{name}', '/v1/sources/shop', { rate_limit: null }],
    ['POST', '/v1/sources/{name}/keys', '/v1/sources/shop/keys'],
    ['POST', '/v1/admin/verify', '/v1/admin/verify'],
    ['POST', '/v1/admin/compact', '/v1/admin/compact'],
    ['GET', '/healthz', '/healthz'],
    ['GET', '/readyz', '/readyz'],
  ];
  const ajv = new Ajv({ strict: false, allErrors: true });
  for (const [method, path, url, body, headers] of calls) {
    const { status, json } = await send(method, url, body, headers);
    const { responses } = document.paths[path][method.toLowerCase()];
    const content = responses[status]?.content ?? {};
    const schema = (content['application/json'] ?? content['application/problem+json'])?.schema;
    expect.soft(schema, `${method} ${url} answers ${status}, which is not described`).toBeDefined();
    if (!schema) continue;
    const fits = ajv.compile(schema);
    expect.soft(fits(json) ? [] : fits.errors, `${method} ${url}: ${JSON.stringify(json)}`).toEqual([]);
  }
});
