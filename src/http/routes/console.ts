/**
 * The web console (console/), as it was built: one page, and the files it names. The page finds out in the browser
 * which of its views an address means, so it is the answer to all of them and to nothing else: whatever is no view of
 * it stays what it was, a route of the API or a problem.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';

/** The first part of each view's address; console/src/views.ts has the same, and a test holds them together. */
export const consoleViews = [
  'explore',
  'rejects',
  'usage',
  'events',
  'reports',
  'occupancy',
  'imports',
  'alerts',
  'sources',
] as const;

/**
 * Scripts are those that were built, and nothing inline. Styles that the page makes while it runs carry the nonce of
 * their answer. It asks this server and no other host.
 */
const policy = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

/** The place in the page where it finds its nonce. */
const nonceSlot = 'name="style-nonce" content=""';

/** Serves what stands in `directory`, where the console was built. */
export async function consoleRoutes(
  app: FastifyInstance,
  { directory }: { directory: string },
): Promise<void> {
  const page = readFileSync(join(directory, 'index.html'), 'utf8');
  const views = new Set<string>(consoleViews);
  const config = { scope: 'public', hidden: true } as const;
  const shown = {
    config,
    helmet: { enableCSPNonces: true, contentSecurityPolicy: { useDefaults: false, directives: policy } },
  };
  const send = (reply: FastifyReply): FastifyReply =>
    reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('cache-control', 'no-cache')
      .send(page.replace(nonceSlot, `name="style-nonce" content="${reply.cspNonce.style}"`));
  const sendView = (view: string, reply: FastifyReply): FastifyReply | undefined => {
    if (views.has(view)) return send(reply);
    reply.callNotFound();
    return undefined;
  };

  app.get('/', shown, (_request, reply) => send(reply));
  app.get<{ Params: { view: string } }>('/:view', shown, (request, reply) =>
    sendView(request.params.view, reply),
  );
  app.get<{ Params: { view: string } }>('/:view/:item', shown, (request, reply) =>
    sendView(request.params.view, reply),
  );

  // A file's name holds a hash of its content, so it never changes.
  await app.register(fastifyStatic, {
    root: join(directory, 'assets'),
    serve: false,
    preCompressed: true,
    immutable: true,
    maxAge: '365d',
  });
  app.get<{ Params: { file: string } }>('/assets/:file', { config }, (request, reply) =>
    reply.sendFile(request.params.file),
  );
}
