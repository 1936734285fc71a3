/**
 * Serving an open ledger: listen, tell where (serve.json), and stop cleanly within a bounded time.
 *
 * A stop takes in nothing more, lets requests that are under way end for a few seconds, ends imports (they leave
 * nothing), commits what was taken in, and closes the ledger. A second signal does not wait for requests; and should
 * anything hang, the process ends all the same: what was acknowledged is on disk.
 */
import { type AddressInfo, createServer, isIPv6 } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import type { RouteRequest } from '../systems/system.ts';
import { adminKeyFile, openApp } from './compose.ts';
import { untilSignalled } from './interrupt.ts';
import { exitCodes } from './outcome.ts';
import { removeServeFile, writeServeFile } from './serve-file.ts';
import { note } from './terminal.ts';
import type { Tracing } from './tracing.ts';

const graceSeconds = 10;
const deadlineSeconds = 30;

export interface ServingOptions {
  tallybook: Tallybook;
  directory: string;
  host: string;
  /** 0 takes any that is free. */
  port: number;
  auth: boolean;
  /** Who answers for usage, when it was opened so. */
  usage?: RouteRequest['ask'] | undefined;
  tracing?: Tracing | undefined;
}

export interface Serving {
  /** Where it is reached from this machine. */
  url: string;
  /** The file with the admin key, when this start made it. */
  newKeyFile: string | undefined;
  /** Resolves when a signal has come and all is closed. Throws `store_failed`. */
  untilStopped(): Promise<void>;
  /** Stops without a signal. */
  stop(): Promise<void>;
}

/** Starts to listen. When it cannot, the ledger is closed and the reason thrown. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { tallybook, directory, host, port, auth, usage, tracing } = options;
  let app: FastifyInstance | undefined;
  try {
    checkNoAuth(host, auth);
    const newKey = auth ? await tallybook.sources.ensureAdminKey(adminKeyFile(directory)) : undefined;
    const opened = await openApp({ tallybook, auth, usage, tracer: tracing?.tracer });
    app = opened;
    // Before it can be reached: whoever sees it serving may end it by a signal, and that is to be a clean stop.
    const signalled = untilSignalled(() => opened.server.closeAllConnections());
    await listen(app, host, port);
    const url = reachableUrl(host, (app.server.address() as AddressInfo).port);
    await writeServeFile(directory, { url, pid: process.pid });
    tallybook.log.info({ url, host, auth, pid: process.pid }, 'listening');
    const server = { app, tallybook, directory, tracing, signalled };
    return {
      url,
      newKeyFile: newKey?.path,
      untilStopped: () => untilStopped(server),
      stop: () => stop(server),
    };
  } catch (error) {
    await app?.close();
    await tallybook.close();
    throw error;
  }
}

/** Throws `bad_settings` when everybody on the network could do everything. */
export function checkNoAuth(host: string, auth: boolean): void {
  if (auth || isLoopback(host)) return;
  throw new TallybookError(
    'bad_settings',
    `--no-auth is for a loopback address only, and --host is ${host}: everybody who reaches it could read and change everything; leave --no-auth out, or use --host 127.0.0.1`,
  );
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

function reachableUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new TallybookError('bad_settings', listenTrouble(error as NodeJS.ErrnoException, host, port), {
      cause: error,
    });
  }
}

/** The port, if nobody has it; else 0: any that is free. */
export function portOrAny(host: string, port: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(0));
    probe.listen(port, host, () => probe.close(() => resolve(port)));
  });
}

function listenTrouble(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} of ${host} is taken by another program; stop it, or name another port with --port (0 takes any that is free)`;
    case 'EACCES':
      return `port ${port} may not be used by this user; name one from 1024 on with --port`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no address of this machine; use --host 127.0.0.1, or 0.0.0.0 for all of them`;
    default:
      return `cannot listen on ${host}, port ${port}: ${error.message}`;
  }
}

interface Server {
  app: FastifyInstance;
  tallybook: Tallybook;
  directory: string;
  tracing: Tracing | undefined;
  signalled: Promise<NodeJS.Signals>;
}

/** Throws when it was not a signal that ended it: whoever looks after the process starts it again. */
async function untilStopped(server: Server): Promise<void> {
  const { log, failed } = server.tallybook;
  const why = await Promise.race([server.signalled, failed]);
  if (typeof why === 'string') log.info({ signal: why }, 'stopping');
  else log.error({ err: why }, 'the database has given up: stopping, to be started again');
  await stop(server);
  log.info({}, 'stopped');
  if (typeof why !== 'string') throw why;
}

async function stop({ app, tallybook, directory, tracing }: Omit<Server, 'signalled'>): Promise<void> {
  const deadline = setTimeout(() => {
    note(`error: not stopped within ${deadlineSeconds} s; ending now (what was acknowledged is on disk)`);
    process.exit(exitCodes.failed);
  }, deadlineSeconds * 1000);
  const grace = setTimeout(() => app.server.closeAllConnections(), graceSeconds * 1000);
  await removeServeFile(directory);
  await app.close();
  clearTimeout(grace);
  await tallybook.close();
  await tracing?.stop();
  clearTimeout(deadline);
}
