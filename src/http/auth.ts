/**
 * Who asks, and what the key allows. Every route declares its scope in `config.scope`; one that does not cannot be
 * registered. A key comes as `Authorization: Bearer KEY`, or as the user name of Basic.
 */
import { isDeepStrictEqual } from 'node:util';
import type { FastifyInstance, FastifyRequest, onRequestHookHandler, preHandlerHookHandler } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import { localSource, type Scope, type Source, type Sources } from '../engine/sources.ts';
import { allowOrigin, checkLocal, checkOrigin } from './origins.ts';
import { RateLimits } from './rate-limit.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key must allow; `public` needs none. */
    scope?: Scope | 'public';
    /** Names of the streams that the route is about, where its address does not name one. */
    streams?: readonly string[];
    /** Not shown in /openapi.json. */
    hidden?: boolean;
    /** Finds the key in the body of a request that has none in its header; it is asked for then, before the handler. */
    keyIn?: ((body: unknown) => string | undefined) | undefined;
  }
  interface FastifyRequest {
    /** Who asks; without authentication, the machine itself. Nobody on public routes, and until a key was found in a body. */
    source: Source;
  }
}

export interface AuthOptions {
  sources: Sources;
  /** False on a loopback address only: everybody may do everything. */
  required: boolean;
  /** Throws when nothing is taken in any more. */
  refuseWhenClosing: () => void;
}

const local = localSource('local');
/** Who may do nothing. */
const nobody: Source = { ...localSource('nobody'), scopes: [], streams: [] };

/** Adds a check to every route that is registered from here on. */
export function authenticate(
  app: FastifyInstance,
  { sources, required, refuseWhenClosing }: AuthOptions,
): void {
  const rates = new RateLimits();
  const checks = new WeakSet<onRequestHookHandler>();
  app.decorateRequest('source', null as unknown as Source);
  app.addHook('onRoute', (route) => {
    const { scope, keyIn } = route.config ?? {};
    if (scope === undefined)
      throw new Error(`the route ${String(route.method)} ${route.url} declares no scope`);
    const check: onRequestHookHandler = (request, reply, done) => {
      try {
        allowOrigin(sources, request, reply);
        request.source = nobody;
        if (scope !== 'public') {
          refuseWhenClosing();
          if (required && keyIn && request.headers.authorization === undefined) return done();
          if (!required) checkLocal(request);
          request.source = required ? sourceOf(sources, scope, request, keyOf(request)) : local;
          rates.take(request.source);
        }
        done();
      } catch (error) {
        done(error as Error);
      }
    };
    const checkKeyOfBody: preHandlerHookHandler = (request, _reply, done) => {
      if (scope === 'public' || request.source !== nobody) return done();
      try {
        request.source = sourceOf(sources, scope, request, keyIn!(request.body));
        rates.take(request.source);
        done();
      } catch (error) {
        done(error as Error);
      }
    };
    const others = [route.onRequest ?? []].flat();
    // The HEAD of a GET is made from it, and has its check already.
    if (others.some((hook) => checks.has(hook))) return;
    checks.add(check);
    route.onRequest = [check, ...others];
    if (required && keyIn) route.preHandler = [checkKeyOfBody, ...[route.preHandler ?? []].flat()];
  });
}

function sourceOf(sources: Sources, scope: Scope, request: FastifyRequest, key: string | undefined): Source {
  const source = key === undefined ? undefined : sources.authenticate(key);
  if (!source) throw unauthenticated(key);
  checkOrigin(source, request);
  if (!source.scopes.includes(scope) && !source.scopes.includes('admin')) {
    throw new TallybookError(
      'forbidden',
      `this needs the scope ${scope}; the source ${source.name} has ${source.scopes.join(', ')}`,
    );
  }
  const { stream } = request.params as { stream?: string };
  if (stream !== undefined) checkStreamAllowed(source, stream);
  for (const name of request.routeOptions.config.streams ?? []) checkStreamAllowed(source, name);
  return source;
}

/** The source a request comes from, if it brings a key that may do this; for public routes that tell some callers more. */
export function sourceIfAny(
  sources: Sources,
  required: boolean,
  scope: Scope,
  request: FastifyRequest,
): Source | undefined {
  if (!required) return local;
  const source = sources.authenticate(keyOf(request) ?? '');
  return source && (source.scopes.includes(scope) || source.scopes.includes('admin')) ? source : undefined;
}

/** Whether it is not known, or not yet, from whom a request comes. */
export function isStranger({ source }: FastifyRequest): boolean {
  return source === nobody;
}

/**
 * Calls back when the key of a request no longer opens what it did: it was revoked, or its source was changed or
 * removed. Returns what ends that.
 */
export function watchKey(sources: Sources, request: FastifyRequest, end: () => void): () => void {
  const { source } = request;
  if (source === local) return () => undefined;
  const look = (): void => {
    const now = sources.authenticate(keyOf(request) ?? '');
    if (!now || !isDeepStrictEqual(rightsOf(now), rightsOf(source))) end();
  };
  const stop = sources.subscribe(look);
  // It may have been revoked since it was looked at.
  look();
  return stop;
}

function rightsOf({ scopes, streams, origins }: Source): object {
  return { scopes, streams, origins };
}

/** Throws `forbidden` when the source is bound to other streams. */
export function checkStreamAllowed(source: Source, stream: string): void {
  if (source.streams === undefined || source.streams.includes(stream)) return;
  throw new TallybookError(
    'forbidden',
    `the source ${source.name} may not use the stream ${stream.slice(0, 100)}; it may use ${source.streams.join(', ') || 'none'}`,
  );
}

function keyOf({ headers: { authorization } }: FastifyRequest): string | undefined {
  if (authorization === undefined) return undefined;
  const space = authorization.indexOf(' ');
  const scheme = authorization.slice(0, space).toLowerCase();
  const rest = authorization.slice(space + 1).trim();
  if (scheme === 'bearer') return rest;
  if (scheme !== 'basic') return undefined;
  const pair = Buffer.from(rest, 'base64').toString();
  const colon = pair.indexOf(':');
  return colon < 0 ? pair : pair.slice(0, colon);
}

function unauthenticated(key: string | undefined): TallybookError {
  const found =
    key === undefined ? 'no key came with the request' : 'the key is not known (it may have been revoked)';
  return new TallybookError(
    'unauthenticated',
    `${found}; send "Authorization: Bearer KEY", or the key as the user name of Basic`,
  );
}
