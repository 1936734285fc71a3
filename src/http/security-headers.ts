/**
 * What browsers are told. Pages get all that helmet knows, by asking for it (`helmet` in the route); answers of the
 * API get the few headers that matter to them, since they are sent tens of thousands of times a second.
 */
import helmet from '@fastify/helmet';
import type { FastifyInstance, onRequestHookHandler } from 'fastify';

export const headersOfAnswers = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
};

export async function secureHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, { global: false });
  const secure: onRequestHookHandler = (_request, reply, done) => {
    reply.headers(headersOfAnswers);
    done();
  };
  app.addHook('onRoute', (route) => {
    const others = [route.onRequest ?? []].flat();
    if (!('helmet' in route) && !others.includes(secure)) route.onRequest = [secure, ...others];
  });
}
