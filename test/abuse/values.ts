/**
 * What is put into every place of a request: words that mean something there, so that a request gets past the first
 * check, and values that programs have stumbled over.
 */
import fc from 'fast-check';

const zalgo = 'Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢';
// biome-ignore format: one kind a line
export const hostileTexts = [
  '', ' ', '\0', 'a\0b', '\ufeff', '\u2028', '\ud800', 'a\udfffb', '\r\nx-injected: 1', '%', '%00', '%zz', '%c0%af', zalgo, '👩‍👩‍👧‍👦', 'ÿ', '\u202etxt',
  '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'then', 'null', 'undefined', 'NaN', 'true',
  "'", '"', '`', ';', '--', '/*', '\\', "'; drop table book; --", '" union select * from book --', "$1", '{{7*7}}', '%s%n', "x') or ('a'='a",
  '../../../../etc/passwd', '..%2f..%2fetc%2fpasswd', '/etc/passwd', 'C:\\windows\\win.ini', 'file:///etc/passwd', '.', '..', '*', '[', ']', '()', '<script>alert(1)</script>', '=1+1', '@SUM(A1)', '+1', '-1',
  '1e400', '-1e400', '1e-400', '-0', '0.1', '.5', '5.', '0x10', '1_000', '١٢٣', '9'.repeat(38), `${'9'.repeat(38)}.${'9'.repeat(10)}`, `-${'9'.repeat(39)}`, `1e${'9'.repeat(20)}`, '9223372036854775807', '9223372036854775808', '-9223372036854775809', '1'.repeat(400),
  '2026-02-30', '0000-00-00', '9999-12-31T23:59:60Z', '2026-10-05T06:43:00+99:99', '294247-01-10T04:00:54.775807Z', '-1000-01-01', 'infinity', 'epoch',
  'a'.repeat(64), 'a'.repeat(600), 'é'.repeat(5_000), 'data.a.b.c', 'data.', '.a', 'data.__proto__', `data${'.a'.repeat(30)}`, 'a,b,c', 'a=b', 'a=b=c', 'a in ', 'a like %_%_%_%a', 'customer=a', 'amount>=1', "customer in a,b", 'customer is null',
] as const;

/** By the name of the place: a parameter, a property, a field. */
// biome-ignore format: one place a line
const words: Record<string, readonly string[]> = {
  stream: ['sales', 'clicks', 'data_records', 'usage', 'events', 'passages', 'spaces', 'reports', 'sales_lines', 'rejects', '_rejects', '_sources', 'odd1', 'odd2', 'none'],
  id: ['a', 'b', 'c', '1', '2', '3', '283', 'r1', 's1', '00000000-0000-4000-8000-000000000000'],
  name: ['one', 'two', 'click', 'signup', 'Service_Product_ES_EUR_20200101-20200131.tsv', 'a.csv', 'a.ndjson.gz', 'a.parquet'],
  category: ['page', 'form'],
  subscription_id: ['1', '2', 'a'],
  space_id: ['1', '2'], doorway_id: ['1', '2'], dpu_id: ['283', '1'], space: ['1', '2'],
  measures: ['count', 'sum(amount)', 'avg(amount)', 'min(at)', 'max(at)', 'count_distinct(customer)', 'sum(amount) if customer=a', 'greatest(sum(amount),sum(amount) if paid=true)', 'weighted(amount)', 'sum(n)', 'count if data.a=1'],
  by: ['customer', 'paid', 'data.a', 'page', 'at', 'id'],
  order: ['count', '-count', 'customer', '-sum(amount)', 'newest', 'oldest', 'day'],
  every: ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'all'],
  tz: ['UTC', 'Europe/Madrid', 'Asia/Kathmandu', 'Mars/Olympus', '+01:00'],
  where: ['customer=a', 'amount>=1', 'amount!=3', 'customer in a,b', 'customer like %a_%', 'data.a=1', 'customer is null', 'at>=2026-01-01', 'paid=true', 'id=a'],
  having: ['count>0', 'sum(amount)>=1.5', 'count!=1'],
  fill: ['zero'], format: ['json', 'ndjson', 'csv', 'parquet', 'tsv'], mode: ['insert', 'upsert'], group_by: ['code', 'field', 'source', 'code,field', 'day'],
  period: ['day', 'week', 'month', 'all'], measure: ['count', 'sum(amount)', 'rejected_share'], scopes: ['ingest', 'read', 'admin'],
  type: ['data', 'voice', 'text', 'integer', 'decimal', 'timestamp', 'json', 'boolean', 'date', 'uuid', 'object'],
  type_of_usage: ['data', 'voice'], view: ['explore', 'rejects'], file: ['page-a1.js'],
  pattern: ['[a-z]+', '(a+)+$', 'a{1000}', '\\p{L}', '^a$', '('],
  url: ['https://example.com/hook', 'http://127.0.0.1/', 'ftp://x'],
  currency: ['EUR', 'USD', 'ZZZ'], territory: ['ES', 'NO'], carrier: ['att', 'sprint'], status: ['new', 'active'],
  page_size: ['1', '10', '1000', '1001', '0'], limit: ['10', '10.00', '0', '1'], wait: ['0', '1', '301'], number: ['10', '100', '0', '101'],
  share: ['{"of":"sum(amount)","percent":10}'], weights: ['{"by":"customer","of":{"a":"0.5"}}'],
};
const times = [
  '2026-10-05T06:43:00Z',
  '2026-10-05',
  '2026-10-05 06:43:00.123456',
  '2020-01-15',
  '2027-01-01T00:00:00+02:00',
];

const hostileText = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<string>(...hostileTexts) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
);

/** A text for a place of this name. */
export function textFor(name: string): fc.Arbitrary<string> {
  const known = Object.hasOwn(words, name) ? words[name]! : [];
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...(known.length > 0 ? known : [...times, 'a', '1', '2.50'])) },
    { weight: 2, arbitrary: fc.constantFrom(...times) },
    { weight: 4, arbitrary: hostileText },
  );
}

const hostileNumber = fc.constantFrom(0, -0, -1, 1, 1.5, 1e21, 5e-324, 2 ** 53, 2 ** 63, -(2 ** 63), 1e308);

/** Any JSON, mostly small. */
export const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: hostileText },
  { weight: 2, arbitrary: hostileNumber },
  { weight: 2, arbitrary: fc.constantFrom(true, false, null, [], {}, [[]], [null]) },
  {
    weight: 1,
    arbitrary: fc.dictionary(fc.constantFrom('a', 'b', ...hostileTexts.slice(0, 30)), hostileText, {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  },
);

interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  patternProperties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
}

/** Something that a schema takes, mostly: a request must get past it to reach anything. */
export function fitting(schema: JsonSchema, name: string, depth = 0): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 12, arbitrary: asSchema(schema, name, depth) },
    { weight: 1, arbitrary: anyJson },
  );
}

function asSchema(schema: JsonSchema, name: string, depth: number): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => fitting(choice, name, depth + 1)));
  if (depth > 5) return anyJson;
  switch ([schema.type].flat()[0]) {
    case 'string':
      return textFor(name);
    case 'integer':
    case 'number':
      return fc.oneof(
        fc.integer({ min: schema.minimum ?? -2, max: Math.min(schema.maximum ?? 1_000, 1_000) }),
        hostileNumber,
      );
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(fitting(schema.items ?? {}, name, depth + 1), { maxLength: 4 });
    case 'object': {
      const [ofAny] = Object.values(schema.patternProperties ?? {});
      if (ofAny)
        return fc.dictionary(textFor(name), fitting(ofAny, name, depth + 1), {
          maxKeys: 3,
          noNullPrototype: true,
        });
      const properties = Object.entries(schema.properties ?? {}).map(
        ([key, property]) => [key, fitting(property, key, depth + 1)] as const,
      );
      return fc.record(Object.fromEntries(properties), {
        requiredKeys: schema.required ?? [],
        noNullPrototype: true,
      });
    }
    default:
      return anyJson;
  }
}
