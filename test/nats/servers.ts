/**
 * NATS servers of the tests' own, with JetStream, on the loopback address: one, or a cluster of three. Debian's package
 * `nats-server`, or the binary on the PATH.
 *
 * Where there is none, the tests that need it are skipped, and say so; with TALLYBOOK_TEST_NO_SKIP they fail instead.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { freePort } from '../free-port.ts';

const startsWithinMilliseconds = 30_000;

/** Undefined when there is none. */
export const natsServer = findServer();

function findServer(): string | undefined {
  const directories = ['/usr/sbin', ...(process.env.PATH ?? '').split(delimiter)];
  const found = directories.map((path) => join(path, 'nats-server')).find((path) => existsSync(path));
  if (found === undefined && process.env.TALLYBOOK_TEST_NO_SKIP)
    throw new Error('there is no nats-server, and no test may be skipped; install the package nats-server');
  return found;
}

export interface NatsServers {
  /** As `--log` takes it, without the name of a log. */
  address: string;
  /** The server that leads a JetStream stream; waits until there is one. */
  leaderOf(stream: string): Promise<number>;
  /** SIGKILL. */
  kill(server: number): Promise<void>;
  /** Starts it again, on its own files. */
  start(server: number): Promise<void>;
  /** A connection to those that run, to look at what they hold. */
  look(): Promise<NatsConnection>;
  stop(): Promise<void>;
}

/** Starts servers that form a cluster when there are several; ready when JetStream answers. */
export async function startNats(count: number): Promise<NatsServers> {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-test-nats-'));
  const ports: number[] = [];
  for (let i = 0; i < 2 * count; i++) ports.push(await freePort());
  const clients = ports.slice(0, count);
  const routes = ports.slice(count).map((port) => `nats://127.0.0.1:${port}`);
  const running = new Map<number, ChildProcess>();
  const start = async (server: number): Promise<void> => {
    const clustered = ['-cluster_name', 'test', '-cluster', routes[server]!, '-routes', routes.join(',')];
    const child = spawn(
      natsServer!,
      [
        ...['-a', '127.0.0.1', '-p', String(clients[server]), '-n', `n${server}`],
        ...['-js', '-sd', join(directory, `n${server}`), ...(count > 1 ? clustered : [])],
      ],
      { stdio: 'ignore' },
    );
    running.set(server, child);
  };
  const kill = async (server: number): Promise<void> => {
    const child = running.get(server)!;
    running.delete(server);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  const look = () =>
    connect({
      servers: [...running.keys()].map((server) => `127.0.0.1:${clients[server]}`),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
  const stop = async () => {
    for (const server of [...running.keys()]) await kill(server);
    rmSync(directory, { recursive: true, force: true });
  };
  for (let server = 0; server < count; server++) await start(server);
  try {
    await within(startsWithinMilliseconds, async () => {
      const connection = await look();
      try {
        await (await jetstreamManager(connection, { timeout: 1_000 })).getAccountInfo();
      } finally {
        await connection.close();
      }
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address: `nats://${clients.map((port) => `127.0.0.1:${port}`).join(',')}`,
    async leaderOf(stream) {
      const connection = await look();
      try {
        const managing = await jetstreamManager(connection, { timeout: 1_000, checkAPI: false });
        return await within(startsWithinMilliseconds, async () => {
          const leader = (await managing.streams.info(stream)).cluster?.leader;
          if (!leader) throw new Error(`${stream} has no leader`);
          return Number(leader.slice(1));
        });
      } finally {
        await connection.close();
      }
    },
    kill,
    start,
    look,
    stop,
  };
}

/** Tries until it succeeds. */
export async function within<T>(milliseconds: number, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
