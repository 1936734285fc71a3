/**
 * Web pages of other hosts (CORS). A source names the origins whose pages may use its keys. Before a request a
 * browser asks without a key, so that is answered if any source allows the origin; the request itself is then
 * held against the source it comes from.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import type { Source, Sources } from '../engine/sources.ts';
import { sendProblem } from './problems.ts';

const exposed = 'link, location, retry-after, x-ratelimit-reset, x-tallybook-as-of, x-tallybook-from';

/** Lets a page of the origin read the answer, if any source allows it. */
export function allowOrigin(sources: Sources, request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers;
  if (origin === undefined) return;
  reply.header('vary', 'origin');
  if (!sources.allowsOrigin(origin)) return;
  reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', exposed);
}

/** Throws `forbidden` when a page uses a key that is bound to pages of other origins. */
export function checkOrigin(source: Source, request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined || source.origins === undefined) return;
  if (source.origins.includes(origin) || source.origins.includes('*')) return;
  if (origin === `http://${host}` || origin === `https://${host}`) return;
  throw new TallybookError(
    'forbidden',
    `the source ${source.name} is not for pages of ${origin}; add the origin to it`,
  );
}

const loopback = /^(localhost|[a-z0-9-]+\.localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?$/i;

/**
 * Where no key is asked for, who reaches the machine may do everything: so a page of another host must not, neither
 * by its own name nor by a name that it has made to point here. Throws `forbidden`.
 */
export function checkLocal({ headers: { origin, host = '' } }: FastifyRequest): void {
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    throw new TallybookError(
      'forbidden',
      `without keys, pages of ${origin.slice(0, 200)} may not use this server`,
    );
  }
  if (!loopback.test(host)) {
    const detail = `without keys this server answers only as localhost or 127.0.0.1, not as ${host.slice(0, 200)}`;
    throw new TallybookError('forbidden', detail);
  }
}

/** Answers what a browser asks before a request. */
export function answerPreflights(app: FastifyInstance, sources: Sources): void {
  app.options('*', { config: { scope: 'public', hidden: true } }, (request, reply) => {
    const { origin } = request.headers;
    if (origin === undefined || !sources.allowsOrigin(origin)) {
      return sendProblem(
        reply,
        new TallybookError('forbidden', `no source allows pages of ${origin ?? 'an unknown origin'}`),
      );
    }
    return reply
      .code(204)
      .header('access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE')
      .header(
        'access-control-allow-headers',
        'authorization, content-type, content-encoding, idempotency-key, accept',
      )
      .header('access-control-max-age', '600')
      .send();
  });
}
