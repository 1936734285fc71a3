/**
 * A data directory belongs to one process at a time, wherever its ledger is kept: beside a ledger it holds uploads on
 * their way, which every start clears away, and the address and the key of the server.
 *
 * Node.js cannot lock files. DuckDB does, with every database that it has open, and the operating system lets go when
 * the process ends, however it ends. So a database that nothing is ever written to is kept open beside the others. Its
 * file stays: one that is removed and made again could be locked twice.
 *
 * A process does not lock out itself, and a database that it has open twice is soon none any more. So what it has locked is
 * noted, for all copies of this module that it has loaded.
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TallybookError } from '../../engine/errors.ts';
import { openInstance } from './open-instance.ts';

const settings = {
  threads: '1',
  memory_limit: '16MB',
  autoinstall_known_extensions: 'false',
  autoload_known_extensions: 'false',
};

const key = Symbol.for('tallybook.lockedDirectories');

function lockedDirectories(): Set<string> {
  const shared = globalThis as { [key]?: Set<string> };
  shared[key] ??= new Set();
  return shared[key];
}

export interface DirectoryLock {
  letGo(): void;
}

/**
 * Makes the directory, when it is not there, and locks it: before anything in it is looked at or changed. Throws
 * `directory_in_use` or `directory_unusable`.
 * @param name of the file that is kept open
 */
export async function lockDirectory(directory: string, name: string): Promise<DirectoryLock> {
  const place = await placeOf(directory);
  const locked = lockedDirectories();
  if (locked.has(place)) {
    const detail = `${directory} is open in this process already; use that ledger, close it first, or name another directory`;
    throw new TallybookError('directory_in_use', detail);
  }
  locked.add(place);
  try {
    const lock = await lockForProcess(directory, name);
    return {
      letGo: () => {
        lock.letGo();
        locked.delete(place);
      },
    };
  } catch (error) {
    locked.delete(place);
    throw error;
  }
}

/** Which directory it is, by whatever path; it is made when it is not there. */
async function placeOf(directory: string): Promise<string> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { dev, ino } = await stat(directory, { bigint: true });
    return `${dev} ${ino}`;
  } catch (error) {
    const detail = `${directory} cannot be used: ${(error as Error).message}`;
    throw new TallybookError('directory_unusable', detail, { cause: error });
  }
}

async function lockForProcess(directory: string, name: string): Promise<DirectoryLock> {
  const path = join(directory, name);
  const open = () => openInstance(path, settings, directory);
  const instance = await open().catch(async (error: unknown) => {
    // A start that was cut off, or found no room, has left a part of it. Who is making it now has it locked already.
    if (!(error instanceof TallybookError) || !/not a valid|not read enough/.test(error.message)) throw error;
    await rm(path, { force: true });
    return open();
  });
  return { letGo: () => instance.closeSync() };
}
