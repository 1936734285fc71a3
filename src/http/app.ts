/**
 * The app: all routes of Tallybook as one Fastify instance, which a process then listens with. Every part is
 * registered by hand, in one visible list.
 */
import { randomBytes } from 'node:crypto';
import type { Tracer } from '@opentelemetry/api';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import { limits } from '../engine/limits.ts';
import type { Log, Tallybook } from '../engine/tallybook.ts';
import type { System } from '../systems/system.ts';
import { authenticate } from './auth.ts';
import { countEverything } from './metrics.ts';
import { describeRoutes, docsRoutes } from './openapi.ts';
import { answerPreflights } from './origins.ts';
import { asTallybookError, handleProblems, sendProblem } from './problems.ts';
import { anyStream } from './records-address.ts';
import { adminRoutes } from './routes/admin.ts';
import { alertRoutes } from './routes/alerts.ts';
import { consoleRoutes } from './routes/console.ts';
import { healthRoutes } from './routes/health.ts';
import { importRoutes } from './routes/imports.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { readRoutes, recordRoutes } from './routes/read.ts';
import { rejectRoutes } from './routes/rejects.ts';
import { sourceRoutes } from './routes/sources.ts';
import { streamRoutes } from './routes/streams.ts';
import { systemRoutes } from './routes/systems.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { writeRoutes } from './routes/write.ts';
import { secureHeaders } from './security-headers.ts';
import { endAllEvents } from './server-sent-events.ts';
import type { Table } from './table.ts';
import { traceRequests } from './tracing.ts';
import { readJsonBodies, validateRequests } from './validation.ts';

export interface AppOptions {
  tallybook: Tallybook;
  /** False on a loopback address only: then everybody may do everything. */
  auth: boolean;
  log: Log;
  version: string;
  /** A table as the bytes of a Parquet file. */
  writeParquet(table: Table): Promise<Buffer>;
  /** Requests are traced when it is given. */
  tracer?: Tracer | undefined;
  /** Those whose addresses are there beside the general ones; their streams are the ledger's already. */
  systems?: readonly System[];
  /** Where the web console was built; not served when it is not given. */
  console?: string | undefined;
}

export async function buildApp({
  tallybook,
  auth,
  log,
  version,
  writeParquet,
  tracer,
  systems = [],
  console: consoleDirectory,
}: AppOptions): Promise<FastifyInstance> {
  const run = randomBytes(4).toString('hex');
  let requests = 0;
  const app = Fastify({
    logger: false,
    genReqId: () => `${run}-${++requests}`,
    http: { headersTimeout: limits.header_seconds * 1000, maxHeaderSize: limits.header_bytes },
    // Bodies have bounds of their own (slow-bodies.ts): a large file may take its time.
    requestTimeout: 0,
    keepAliveTimeout: limits.keep_alive_seconds * 1000,
    bodyLimit: limits.control_body_bytes,
    routerOptions: { maxParamLength: limits.id_characters * 9 },
    // What Fastify refuses before it has found a route.
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply as FastifyReply, asTallybookError(error, request as FastifyRequest, log));
    },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  });
  let closing = false;
  const refuseWhenClosing = (): void => {
    if (closing)
      throw new TallybookError('closing', 'the server is stopping; send this again in a moment', {
        retryAfter: 5,
      });
  };
  const metrics = countEverything(tallybook);
  let closingConnections: NodeJS.Timeout | undefined;
  app.addHook('preClose', (done) => {
    closing = true;
    endAllEvents();
    metrics.stop();
    // A connection whose last request is answered would else be kept for the next one.
    closingConnections = setInterval(() => app.server.closeIdleConnections(), 20);
    done();
  });
  app.addHook('onClose', (_app, done) => {
    clearInterval(closingConnections);
    done();
  });

  app.decorate('writeParquet', writeParquet);
  if (tracer) traceRequests(app, tracer);
  validateRequests(app);
  readJsonBodies(app, () => tallybook.spoolPath());
  handleProblems(app, log, metrics.refused);
  await describeRoutes(app, version, systems);
  authenticate(app, { sources: tallybook.sources, required: auth, refuseWhenClosing });
  await secureHeaders(app);
  answerPreflights(app, tallybook.sources);

  const shared = { tallybook };
  await app.register(async (scope) => streamRoutes(scope, shared));
  const records = { ...shared, address: anyStream(tallybook) };
  await app.register(async (scope) => writeRoutes(scope, records));
  await app.register(async (scope) => recordRoutes(scope, records));
  await app.register(async (scope) => readRoutes(scope, shared));
  await app.register(async (scope) => systemRoutes(scope, { tallybook, systems }));
  await app.register(async (scope) => importRoutes(scope, shared));
  await app.register(async (scope) => rejectRoutes(scope, shared));
  await app.register(async (scope) => alertRoutes(scope, shared));
  await app.register(async (scope) => notificationRoutes(scope, shared));
  await app.register(async (scope) => webhookRoutes(scope, shared));
  await app.register(async (scope) => sourceRoutes(scope, shared));
  await app.register(async (scope) => adminRoutes(scope, shared));
  const refuse = (): Promise<void> => {
    refuseWhenClosing();
    return tallybook.refuseWhenNotReady();
  };
  await app.register(async (scope) => healthRoutes(scope, { version, metrics, refuse }));
  await app.register(async (scope) => docsRoutes(scope, { tallybook, auth }));
  if (consoleDirectory !== undefined)
    await app.register(async (scope) => consoleRoutes(scope, { directory: consoleDirectory }));
  return app;
}
