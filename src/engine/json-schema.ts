/**
 * The JSON Schema (2020-12) of a record of a stream, or of a form of it, from its declaration: what `/openapi.json` shows, and what a sender
 * can check against before sending. `field-types.ts` is what counts; a test holds the two against each other.
 *
 * What a JSON Schema cannot say is left out: the bounds of numbers that are sent as strings, dates that do not exist
 * (2021-02-30 has the right form), how many digits a number has.
 */
import { dateGrammar, timestampGrammar } from './calendar.ts';
import { numberGrammar } from './decimal.ts';
import { type Field, integerMax, integerMin, textMax, uuidGrammar } from './field-types.ts';
import { limits } from './limits.ts';
import type { Stream } from './stream.ts';

export type JsonSchema = Record<string, unknown>;

export function recordSchema(stream: Stream): JsonSchema {
  const required = stream.named.filter((field) => field.required).map((field) => field.name);
  return {
    type: 'object',
    ...(stream.declaration.description === undefined ? {} : { description: stream.declaration.description }),
    properties: Object.fromEntries(stream.named.map((field) => [field.name, fieldSchema(field)])),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function fieldSchema(field: Field): JsonSchema {
  const schema = valueSchema(field);
  if (field.type === 'json') return field.required ? { ...schema, not: { type: 'null' } } : schema;
  const withNull = field.required ? schema : { anyOf: [schema, { type: 'null' }] };
  return field.default === undefined ? withNull : { ...withNull, default: field.default };
}

function valueSchema(field: Field): JsonSchema {
  switch (field.type) {
    case 'text':
      return {
        type: 'string',
        ...(field.min_length ? { minLength: field.min_length } : {}),
        maxLength: textMax(field),
        ...(field.pattern === undefined ? {} : { pattern: whole(field.pattern) }),
        ...(field.one_of === undefined ? {} : { enum: field.one_of }),
      };
    case 'integer':
      return {
        description: 'A 64-bit integer. Beyond 2^53 most programs keep it exactly only as a string.',
        anyOf: [
          field.one_of
            ? { enum: field.one_of.map(Number) }
            : {
                type: 'integer',
                minimum: Number(field.min ?? integerMin),
                maximum: Number(field.max ?? integerMax),
              },
          { type: 'string', pattern: whole(numberGrammar) },
        ],
      };
    case 'decimal': {
      const bounds = {
        ...(field.min === undefined ? {} : { minimum: Number(field.min) }),
        ...(field.max === undefined ? {} : { maximum: Number(field.max) }),
      };
      return {
        description: `A decimal with up to ${field.precision - field.scale} digits before the point and ${field.scale} after it.`,
        anyOf: [
          { type: 'number', ...bounds },
          { type: 'string', pattern: whole(numberGrammar) },
        ],
      };
    }
    case 'boolean':
      return { enum: [true, false, 'true', 'false'] };
    case 'timestamp':
      return {
        type: 'string',
        pattern: whole(timestampGrammar),
        description: 'A timestamp; with no offset it is UTC.',
      };
    case 'date':
      return { type: 'string', pattern: whole(dateGrammar) };
    case 'uuid':
      return { type: 'string', pattern: whole(uuidGrammar) };
    case 'json':
      return {
        ...(field.object ? { type: 'object' } : {}),
        description: `JSON of at most ${limits.json_characters} characters${field.max_levels === undefined ? '' : ` and ${field.max_levels} levels`}.`,
      };
  }
}

function whole(pattern: string): string {
  return `^(?:${pattern})$`;
}
