/**
 * The JSON Schema of a record and `checkValue` say the same of any value, wherever JSON Schema can say it. Where it
 * cannot, the schema may only be too generous, never too strict: what the stream takes, the schema takes.
 */
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkValue, type FieldDeclaration } from '../../src/engine/field-types.ts';
import { recordSchema } from '../../src/engine/json-schema.ts';
import { defineStream } from '../../src/engine/stream.ts';

const presence = fc.constantFrom({}, { required: true });
const field: fc.Arbitrary<FieldDeclaration> = fc.oneof(
  fc
    .record({ min: fc.integer({ min: 0, max: 3 }), more: fc.integer({ min: 1, max: 5 }), presence })
    .map(({ min, more, presence }) => ({
      type: 'text' as const,
      min_length: min,
      max_length: min + more,
      ...presence,
    })),
  presence.map((given) => ({ type: 'text' as const, pattern: '[a-c]+|x{2}', ...given })),
  presence.map((given) => ({ type: 'text' as const, one_of: ['data', 'voice', 'é'], ...given })),
  fc
    .record({ bounds: fc.constantFrom({}, { min: -10 }, { max: '10' }, { min: '-5', max: 5 }), presence })
    .map(({ bounds, presence }) => ({ type: 'integer' as const, ...bounds, ...presence })),
  fc
    .record({ bounds: fc.constantFrom({}, { min: '-1.5' }, { max: 2.25 }), presence })
    .map(({ bounds, presence }) => ({
      type: 'decimal' as const,
      precision: 10,
      scale: 3,
      ...bounds,
      ...presence,
    })),
  fc
    .record({
      type: fc.constantFrom(
        'boolean' as const,
        'timestamp' as const,
        'date' as const,
        'uuid' as const,
        'json' as const,
      ),
      presence,
    })
    .map(({ type, presence }) => ({ type, ...presence })),
  fc.constant({ type: 'integer' as const, default: 7 }),
  fc.constant<FieldDeclaration>({ type: 'integer', one_of: [1, -1] }),
  fc.constant({ type: 'text' as const, default: 'none' }),
);

/** A JSON value as it is written. */
const written: fc.Arbitrary<string> = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }).map((value) => JSON.stringify(value)),
  fc.integer({ min: -20, max: 20 }).map(String),
  fc.constantFrom(
    'null',
    '1.5',
    '1e2',
    '-0',
    '1.0',
    '0.0005',
    '1234567.891',
    '12345678.5',
    'true',
    '"true"',
    '"TRUE"',
  ),
  fc.constantFrom(
    '"a"',
    '"abc"',
    '"xx"',
    '"abx"',
    '"data"',
    '"é"',
    '"😀"',
    '"😀😀😀"',
    '""',
    '" 1"',
    '"1_000"',
    '"0x10"',
    '"5.7"',
    '"-3"',
    '"+3"',
    '"1e3"',
    '"."',
  ),
  fc.constantFrom(
    '"2026-10-05"',
    '"2026-10-05T06:43:00Z"',
    '"2026-10-05 06:43"',
    '"2026-10-05T24:00:00Z"',
    '"2026-13-05"',
    '"2026-10-05T06:43:00.1234567Z"',
    '"0000-01-01"',
    '"2026-10-05T06:43:00+0200"',
  ),
  fc.uuid().map((uuid) => JSON.stringify(uuid)),
  fc.uuid().map((uuid) => JSON.stringify(uuid.toUpperCase())),
  fc
    .date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
    .map((date) => JSON.stringify(date.toISOString())),
);

/** What a JSON Schema cannot say: bounds of numbers in strings, digits of numbers, dates that do not exist. */
function unsayable(declared: FieldDeclaration, code: string, text: string): boolean {
  if (declared.type === 'integer' || declared.type === 'decimal') {
    return text.startsWith('"') || code === 'out_of_range' || declared.type === 'decimal';
  }
  return declared.type === 'timestamp' || declared.type === 'date';
}

const ajv = new Ajv({ strict: false });
const compiled = new Map<string, (value: unknown) => boolean>();

function compile(schema: object) {
  const key = JSON.stringify(schema);
  const known = compiled.get(key) ?? (ajv.compile(schema) as (value: unknown) => boolean);
  compiled.set(key, known);
  return known;
}

test('the schema and the check agree on random values', () => {
  let agreed = { taken: 0, refused: 0 };
  fc.assert(
    fc.property(field, written, (declared, text) => {
      const stream = defineStream('trial', { fields: { f: declared } });
      const checked = checkValue(stream.fields[0]!, { kind: 'json', text });
      const taken = !('code' in checked);
      const fits = compile(recordSchema(stream))(JSON.parse(`{"f":${text}}`));
      agreed = { taken: agreed.taken + Number(taken), refused: agreed.refused + Number(!taken) };
      if (taken) return fits;
      return !fits || unsayable(declared, (checked as { code: string }).code, text);
    }),
    { numRuns: 1_500 },
  );
  expect(agreed.taken).toBeGreaterThan(150);
  expect(agreed.refused).toBeGreaterThan(150);
}, 30_000);

test('a missing field, an unknown one', () => {
  const stream = defineStream('trial', {
    fields: { a: { type: 'text', required: true }, b: { type: 'text' } },
  });
  const fits = ajv.compile(recordSchema(stream));
  expect(fits({ a: 'x' })).toBe(true);
  expect(fits({ b: 'x' })).toBe(false);
  expect(fits({ a: null })).toBe(false);
  expect(fits({ a: 'x', b: null })).toBe(true);
  expect(fits({ a: 'x', c: 'x' })).toBe(false);
});
