/**
 * A PostgreSQL server of the tests' own: Debian's binaries or those on the PATH, in a temporary directory, on the
 * loopback address. PostgreSQL refuses to run as root; started as root, it runs as the user `postgres` of its package.
 *
 * Where there is none, the tests that need it are skipped, and say so; with TALLYBOOK_TEST_NO_SKIP they fail instead.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../free-port.ts';

const startsWithinMilliseconds = 30_000;
const debian = '/usr/lib/postgresql';

/** The directory of `initdb` and `postgres`; undefined when there is none. */
export const postgresBinaries = findBinaries();

function findBinaries(): string | undefined {
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const directories = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  const found = directories.find(
    (path) => existsSync(join(path, 'initdb')) && existsSync(join(path, 'postgres')),
  );
  if (found === undefined && process.env.TALLYBOOK_TEST_NO_SKIP)
    throw new Error('there is no PostgreSQL, and no test may be skipped; install the package postgresql');
  return found;
}

export interface PostgresServer {
  port: number;
  password: string;
  /** Makes a database by statements, and gives its address, with the password. */
  database(name: string, ...statements: string[]): Promise<string>;
  /** Runs statements in a database. */
  run(name: string, ...statements: string[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<PostgresServer> {
  const binaries = postgresBinaries!;
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-test-postgres-'));
  const password = 'not-to-be-printed';
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, password);
  const who = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (who.uid !== undefined) for (const path of [directory, passwordFile]) chownSync(path, who.uid, who.gid);
  const data = join(directory, 'data');
  const initdb = [
    '-D',
    data,
    '-U',
    'owner',
    '-A',
    'scram-sha-256',
    '--pwfile',
    passwordFile,
    '-E',
    'UTF8',
    '-N',
  ];
  execFileSync(join(binaries, 'initdb'), [...initdb, '--locale=C'], {
    ...who,
    cwd: directory,
    stdio: 'pipe',
  });
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`, 'fsync=off'];
  const server = spawn(
    join(binaries, 'postgres'),
    ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    { ...who, cwd: directory, stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => server.once('exit', resolve));
  const client = (database: string): pg.Client =>
    new pg.Client({ host: '127.0.0.1', port, user: 'owner', password, database });
  const run = async (database: string, ...statements: string[]): Promise<void> => {
    const connection = client(database);
    await connection.connect();
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      await connection.end();
    }
  };
  const deadline = performance.now() + startsWithinMilliseconds;
  for (;;) {
    try {
      await run('postgres');
      break;
    } catch (error) {
      if (server.exitCode !== null || performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
  return {
    port,
    password,
    run,
    async database(name, ...statements) {
      await run('postgres', `create database ${name}`);
      await run(name, ...statements);
      return `postgres://owner:${password}@127.0.0.1:${port}/${name}`;
    },
    async stop() {
      server.kill('SIGINT');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function idOf(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
}
