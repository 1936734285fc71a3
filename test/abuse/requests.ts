/** Requests made from what /openapi.json says of each route, so that a new route is tried without a line here. */
import fc from 'fast-check';
import { anyJson, fitting, hostileTexts, textFor } from './values.ts';

export interface Asked {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | undefined;
}

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: object;
}

export interface Operation {
  parameters?: Parameter[];
  requestBody?: { content?: Record<string, { schema?: object }> };
  responses?: Record<string, { content?: Record<string, unknown> }>;
}

export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
}

const types = [
  'application/json',
  'application/x-ndjson',
  'text/csv',
  'text/tab-separated-values',
  'text/plain',
  'application/octet-stream',
  'multipart/form-data; boundary=xx',
  'multipart/form-data',
  'application/merge-patch+json',
  'application/json; charset=utf-16',
  '',
  'x',
];
const oddHeaders = fc.dictionary(
  fc.constantFrom(
    'accept',
    'origin',
    'content-encoding',
    'idempotency-key',
    'last-event-id',
    'if-none-match',
    'range',
    'authorization',
    'content-disposition',
    'x-forwarded-for',
    'x-http-method-override',
    'expect-nothing',
  ),
  fc.constantFrom(
    '*/*',
    'text/csv',
    'application/vnd.apache.parquet',
    'application/json;q=x',
    'gzip',
    'zstd',
    'br',
    'https://evil.example',
    'http://localhost:80',
    'bytes=0-1',
    'DELETE',
    'Basic Og==',
    'Bearer',
    'k'.repeat(300),
    'attachment; filename="../../a.csv"',
    "attachment; filename*=UTF-8''%zz",
    '7',
    '',
    'é',
  ),
  { maxKeys: 2, noNullPrototype: true },
);

/** Nothing of a request is right for sure, but most of it is, mostly. */
export function requestsTo(
  method: string,
  path: string,
  { parameters = [], requestBody }: Operation,
): fc.Arbitrary<Asked> {
  const ofPlace = (place: Parameter['in']) => parameters.filter((parameter) => parameter.in === place);
  const inPath = fc.record(
    Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name!, textFor(name!)])),
    { noNullPrototype: true },
  );
  const inQuery = fc.record(
    Object.fromEntries(ofPlace('query').map(({ name, schema }) => [name, fitting(schema, name)])),
    { requiredKeys: [], noNullPrototype: true },
  );
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const right =
    content?.schema && Object.keys(content.schema).length > 0 ? fitting(content.schema, 'body') : anyJson;
  const body = fc.oneof(
    { weight: 10, arbitrary: right.map((value) => JSON.stringify(value) as string | undefined) },
    { weight: 1, arbitrary: fc.constantFrom<string>(...hostileTexts) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '{"__proto__":{}}',
        '{"a":1e400}',
        '{"a":-0}',
        '['.repeat(9_000),
        '{"a":{"constructor":{"prototype":{"b":1}}}}',
        '{"a":1,"a":2}',
        `{"${'k'.repeat(70_000)}":1}`,
      ),
    },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
  return fc
    .record({
      inPath,
      inQuery,
      extra: fc.option(fc.tuple(textFor('where'), textFor('name')), { freq: 12 }),
      odd: fc.oneof({ weight: 5, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: oddHeaders }),
      body: requestBody || method === 'delete' ? body : fc.constant(undefined),
      type: fc.oneof(
        { weight: 12, arbitrary: fc.constant(type ?? 'application/json') },
        { weight: 1, arbitrary: fc.constantFrom(...types) },
      ),
    })
    .map(({ inPath, inQuery, extra, odd, body, type }) => {
      const query = [...Object.entries(inQuery), ...(extra ? [extra] : [])].flatMap(([name, value]) =>
        [value]
          .flat()
          .map(
            (one) =>
              `${encoded(name)}=${encoded(typeof one === 'object' ? JSON.stringify(one) : String(one))}`,
          ),
      );
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encoded(inPath[name]!));
      return {
        method: method.toUpperCase(),
        url: filled + (query.length > 0 ? `?${query.join('&')}` : ''),
        headers: { ...(body === undefined ? {} : { 'content-type': type }), ...odd },
        body,
      };
    });
}

/** Some are sent as they are: an address may hold anything but a blank. */
function encoded(text: string): string {
  return /^%[0-9a-z]+$|^\.\.%2f/i.test(text)
    ? text
    : encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
}
