/**
 * A RabbitMQ server of its own (Debian's package `rabbitmq-server`): in a scratch directory, on free ports of the
 * loopback address, without plugins, stopped by whoever started it. The program that lets Erlang's nodes find each
 * other (`epmd`) would stay behind as a daemon, so it is started here, too.
 */
import { once } from 'node:events';
import { accessSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { freePort } from '../free-port.js';
import { startProgram } from '../own-process.js';

/** Not that of /usr/sbin, which changes to a user and a directory of its own. */
const COMMAND = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const READY_WITHIN_MS = 120_000;

/** Why there is none, or undefined. */
export function missingRabbit() {
  try {
    accessSync(COMMAND);
    return undefined;
  } catch {
    return `RabbitMQ is not installed: ${COMMAND} is not there. Debian's package is rabbitmq-server.`;
  }
}

/** @param {string} dir an existing directory */
export async function startRabbit(dir) {
  const home = join(dir, 'rabbitmq');
  mkdirSync(home);
  const none = join(home, 'none');
  writeFileSync(none, '');
  writeFileSync(join(home, 'plugins'), '[].');
  const [port, distribution, finder] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...process.env,
    HOME: home,
    ERL_EPMD_PORT: String(finder),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_CONF_ENV_FILE: none,
    RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_NODENAME: `bench${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
  };
  const epmd = startProgram('epmd', ['-port', String(finder), '-address', '127.0.0.1'], { stdio: 'ignore' });
  const server = startProgram(COMMAND, [], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [server.stdout, server.stderr]) {
    stream.on('data', (chunk) => {
      said = (said + chunk).slice(-2_000);
    });
  }
  const url = `amqp://guest:guest@127.0.0.1:${port}`;
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const connection = await connect(url).catch(() => undefined);
    if (connection) {
      const { version } = connection.connection.serverProperties;
      await connection.close();
      return {
        url,
        version,
        async stop() {
          server.kill('SIGTERM');
          if (server.exitCode === null) await once(server, 'exit');
          epmd.kill('SIGTERM');
        },
      };
    }
    if (server.exitCode !== null || performance.now() > deadline)
      throw new Error(`RabbitMQ did not start (leave it out with --without queue):\n${said}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
