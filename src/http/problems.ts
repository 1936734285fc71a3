/**
 * Errors as `application/problem+json` (RFC 9457). The kind of an error gives the status, here and nowhere else.
 * Below 500 the detail says what was found, what was expected and what to do; a defect of ours says nothing of
 * what is inside, only an id to quote, under which it stands in the log.
 */
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchemaValidationError,
} from 'fastify';
import { type ErrorCode, type ErrorKind, TallybookError } from '../engine/errors.ts';
import type { Log } from '../engine/tallybook.ts';
import { headersOfAnswers } from './security-headers.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** A request was answered with a problem. */
    countRefused(code: ErrorCode): void;
  }
  interface FastifyContextConfig {
    /** Asks how the server is: a problem is the answer then, and refuses nothing. */
    probe?: true;
  }
}

export const statusOfKind: Record<ErrorKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  missing: 404,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  rate_limited: 429,
  internal: 500,
  overloaded: 503,
  storage_full: 507,
};

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
}

/** An answer cannot be written in any format that the client takes. */
export class UnacceptableFormat extends TallybookError {
  readonly status = 406;
  constructor(detail: string) {
    super('unsupported_format', detail);
  }
}

export function problemOf(error: TallybookError): Problem {
  const status = error instanceof UnacceptableFormat ? error.status : statusOfKind[error.kind];
  return {
    type: `urn:tallybook:problem:${error.code}`,
    title: error.title,
    status,
    detail: bounded(error.message),
    code: error.code,
  };
}

/** A detail quotes what was found, which may be as long as a body: it loses its middle then. */
function bounded(detail: string): string {
  if (detail.length <= 2 * keptCharacters) return detail;
  return `${detail.slice(0, keptCharacters)} … ${detail.slice(-keptCharacters)}`;
}
const keptCharacters = 3_000;

export function sendProblem(reply: FastifyReply, error: TallybookError, extra: object = {}): FastifyReply {
  const problem = problemOf(error);
  if (!reply.request.routeOptions.config?.probe) reply.server.countRefused(error.code);
  if (error.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter));
  // The clients of Segment's interface that run in browsers read this one.
  if (problem.status === 429) reply.header('x-ratelimit-reset', String(error.retryAfter));
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="tallybook"');
  if (error.code === 'closing') reply.header('connection', 'close');
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(JSON.stringify({ ...problem, ...extra }));
}

export function handleProblems(
  app: FastifyInstance,
  log: Log,
  countRefused: (code: ErrorCode) => void,
): void {
  app.decorate('countRefused', countRefused);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    sendProblem(reply, asTallybookError(error, request, log));
  });
  const notFound = (request: FastifyRequest, reply: FastifyReply): void => {
    const path = request.url.split('?')[0]!.slice(0, 200);
    const detail = `there is no ${request.method} ${path}; /openapi.json lists every route, /docs shows them`;
    sendProblem(reply.headers(headersOfAnswers), new TallybookError('unknown_route', detail));
  };
  app.setNotFoundHandler(notFound);
  // Fastify would read the body first, of whoever sends it.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) notFound(request, reply);
    else done();
  });
}

/** Any error as one of the register; what is unknown is logged under an id and told as `internal`. */
export function asTallybookError(error: FastifyError, request: FastifyRequest, log: Log): TallybookError {
  if (error instanceof TallybookError) {
    if (error.kind === 'internal' || error.kind === 'storage_full') {
      log.error({ err: error, request: request.id, method: request.method, url: request.url }, error.message);
    }
    return error;
  }
  if (error.validation)
    return new TallybookError('bad_request', validationDetail(error.validation, error.validationContext));
  if (error.code === 'ENOSPC')
    return new TallybookError(
      'storage_full',
      'there is no room left on the disk; nothing of this request was kept',
      { cause: error },
    );
  const known = knownErrors[error.code];
  if (known) return known(error);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new TallybookError(
      error.statusCode === 413
        ? 'too_large'
        : error.statusCode === 415
          ? 'unsupported_format'
          : 'bad_request',
      error.message,
    );
  }
  log.error(
    { err: error, request: request.id, method: request.method, url: request.url },
    'a request failed',
  );
  return new TallybookError(
    'internal',
    `something went wrong on our side; it is in the log as ${request.id}`,
    { cause: error },
  );
}

const knownErrors: Record<string, (error: FastifyError) => TallybookError> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new TallybookError(
      'unsupported_format',
      'the content-type is not one this address takes; send application/json',
    ),
  FST_ERR_CTP_EMPTY_JSON_BODY: () =>
    new TallybookError('unreadable_body', 'the body is empty; expected a JSON document'),
  FST_ERR_CTP_INVALID_JSON_BODY: () => new TallybookError('unreadable_body', 'the body is no valid JSON'),
  FST_ERR_CTP_BODY_TOO_LARGE: () =>
    new TallybookError('too_large', 'the body is larger than this address takes'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new TallybookError('unreadable_body', 'the body does not have the length that content-length tells'),
  FST_ERR_BAD_URL: () =>
    new TallybookError('bad_request', 'the address holds a broken % sequence; encode it as UTF-8'),
};

const places: Record<string, string> = {
  querystring: 'the query parameter',
  params: 'the address:',
  headers: 'the header',
  body: 'the body:',
};

/** What a schema found, in words: where, what was expected. */
function validationDetail(errors: FastifySchemaValidationError[], context: string | undefined): string {
  const place = places[context ?? 'body'] ?? 'the request:';
  const sentences = errors.map(({ keyword, instancePath, params, message }) => {
    const where = instancePath.slice(1).replaceAll('/', '.');
    const at = where === '' ? place : `${place} ${where}`;
    if (keyword === 'additionalProperties')
      return `${at} ${String(params.additionalProperty)} is not known here`;
    if (keyword === 'required') return `${at} ${String(params.missingProperty)} is missing`;
    if (keyword === 'enum') return `${at} must be one of ${(params.allowedValues as unknown[]).join(', ')}`;
    if (keyword === 'const') return `${at} must be ${JSON.stringify(params.allowedValue)}`;
    return `${at} ${message ?? 'is wrong'}`;
  });
  return [...new Set(sentences)].slice(0, 5).join('; ');
}
