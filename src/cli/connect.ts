/**
 * Connecting to the ledger that a command is about.
 *
 * With `--url` it is a server elsewhere. Else it is a data directory: where a server is running on it (it says so in
 * `serve.json`), the command talks to that server with the admin key beside it; where none is, the command opens the
 * directory itself. Only one process can have it open, so when another command is at work, this one waits for
 * it, a little.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TallybookError } from '../engine/errors.ts';
import { adminKeyFile, holdsLedger } from './compose.ts';
import type { ConnectionSettings } from './config.ts';
import type { Connection } from './connection.ts';
import { connectInProcess } from './in-process.ts';
import { commandLog } from './log.ts';
import { connectOverHttp } from './over-http.ts';
import { runningServer } from './serve-file.ts';
import { note } from './terminal.ts';

/** How long a command waits for another one to let go of the directory. */
const patienceMilliseconds = 30_000;
const tryEveryMilliseconds = 500;

export interface ConnectOptions {
  /** Make the data directory when it is not there; else that is an error. */
  create?: boolean;
  /** In a directory without sources, make the one that may do everything first. */
  makeAdminKey?: boolean;
}

/** Does something over a connection, and closes it. */
export async function connected<T>(
  settings: ConnectionSettings,
  work: (connection: Connection) => Promise<T>,
  options: ConnectOptions = {},
): Promise<T> {
  const connection = await connect(settings, options);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

async function connect(
  settings: ConnectionSettings,
  { create = false, makeAdminKey = false }: ConnectOptions,
): Promise<Connection> {
  const { url, key, data, store } = settings;
  if (url !== undefined) return connectOverHttp({ url, key });
  if (!create && store === undefined && !holdsLedger(data)) {
    throw new TallybookError(
      'directory_unusable',
      `there is no ledger in ${data}; "tallybook serve" or "tallybook streams put" makes one, --data names another directory`,
    );
  }
  const started = Date.now();
  for (let attempt = 1; ; attempt++) {
    const server = await runningServer(data);
    if (server) return connectOverHttp({ url: server.url, key: key ?? (await adminKey(data)) });
    try {
      return await connectInProcess({
        directory: data,
        storeAddress: store,
        memoryLimit: settings.memory,
        threads: settings.threads,
        systems: settings.systems,
        log: commandLog(),
        makeAdminKey,
      });
    } catch (error) {
      const inUse = error instanceof TallybookError && error.code === 'directory_in_use';
      if (!inUse || Date.now() > started + patienceMilliseconds) throw error;
      if (attempt === 3) note(`Waiting for another command: ${error.message.split(';')[0]}`);
      await sleep(tryEveryMilliseconds);
    }
  }
}

/** Without the key the server will say what is missing. */
async function adminKey(directory: string): Promise<string | undefined> {
  const text = await readFile(adminKeyFile(directory), 'utf8').catch(() => undefined);
  return text?.trim() || undefined;
}
