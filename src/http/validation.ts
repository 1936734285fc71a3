/**
 * How Fastify holds requests against their schemas. Query parameters and parts of the address are text, so numbers
 * among them are read as numbers; a body says itself what is a number, and nothing in it is changed, filled in
 * or left out. What a schema does not know is refused, not ignored: a filter that is misspelt would give
 * a wrong figure.
 */
import { isUtf8 } from 'node:buffer';
import { Ajv, type ValidateFunction } from 'ajv';
import type { FastifyInstance } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import { jsonLevels, parseStrictJson, quoteLongNumbers } from '../engine/exact-json.ts';
import { limits } from '../engine/limits.ts';
import { readIntoMemory } from './bodies.ts';

export function validateRequests(app: FastifyInstance): void {
  const shared = { allErrors: false, strict: false, removeAdditional: false, useDefaults: false } as const;
  const ofText = new Ajv({ ...shared, coerceTypes: true });
  const ofJson = new Ajv({ ...shared, coerceTypes: false });
  app.setValidatorCompiler(({ schema, httpPart }) =>
    compiledWhenUsed(httpPart === 'body' ? ofJson : ofText, schema as object),
  );
  // Schemas of answers are for the reader of /docs and for the tests; they are not what writes an answer.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

/** A command at the shell uses one route or two: compiling the schemas of all would take 0.2 s of its time. */
function compiledWhenUsed(ajv: Ajv, schema: object): Validate {
  let compiled: ValidateFunction | undefined;
  const validate: Validate = (data) => {
    compiled ??= ajv.compile(schema);
    const valid = compiled(data) === true;
    validate.errors = compiled.errors ?? null;
    return valid;
  };
  return validate;
}

interface Validate {
  (data: unknown): boolean;
  errors?: Exclude<ValidateFunction['errors'], undefined>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The body of a JSON request as it came, where its digits matter. */
    bodyText: string;
  }
}

const jsonTypes = /^application\/([\w.+-]+\+)?json/;

/**
 * Reads the JSON bodies of requests that bring no records: questions, declarations, choices. A number that is
 * written with more than 15 characters arrives as a string of just those: so no digit of it is lost, and
 * every place that takes a long number takes it as text too.
 */
export function readJsonBodies(app: FastifyInstance, spoolPath: () => string): void {
  app.decorateRequest('bodyText', '');
  // Fastify's own would wait for a body for ever.
  app.removeAllContentTypeParsers();
  const most = limits.control_body_bytes;
  app.addContentTypeParser(jsonTypes, (request, payload, done) => {
    readIntoMemory(request, payload, { spoolPath, most }, (error, bytes) => {
      if (error) return done(error);
      try {
        request.bodyText = textOf(bytes!);
        done(null, request.bodyText.trim() === '' ? undefined : controlBody(request.bodyText));
      } catch (error) {
        done(error as Error);
      }
    });
  });
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes))
    throw new TallybookError('unreadable_body', 'the body is no valid JSON: it is no UTF-8');
  return bytes.toString();
}

/** Throws `unreadable_body`, or `bad_request` for what is JSON and cannot be meant. */
function controlBody(text: string): unknown {
  // Looked at first: what reads or checks it goes down as deep as it does.
  const levels = jsonLevels(text);
  if (levels > limits.control_body_levels)
    throw new TallybookError(
      'bad_request',
      `the body has ${levels} levels of lists and objects; at most ${limits.control_body_levels} are read`,
    );
  if (!parseStrictJson(text))
    throw new TallybookError('unreadable_body', `the body is no valid JSON${reason(text)}`);
  return JSON.parse(quoteLongNumbers(text, 15), refusePrototypes);
}

/** A key that would reach into JavaScript's own objects is the name of nothing that can be asked for or declared. */
function refusePrototypes(key: string, value: unknown): unknown {
  if (key === '__proto__')
    throw new TallybookError('bad_request', 'the body holds the name __proto__, which nothing can have here');
  return value;
}

function reason(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return `: ${(error as Error).message}`;
  }
}
