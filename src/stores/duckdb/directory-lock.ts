/**
 * A data directory belongs to one process at a time, wherever its ledger is kept: beside a ledger it holds uploads on
 * their way, which every start clears away, and the address and the key of the server.
 *
 * Node.js cannot lock files. DuckDB does, with every database that it has open, and the operating system lets go when
 * the process ends, however it ends. So a database that nothing is ever written to is kept open beside the others. Its
 * file stays: one that is removed and made again could be locked twice.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TallybookError } from '../../engine/errors.ts';
import { openInstance } from './open-instance.ts';

const settings = {
  threads: '1',
  memory_limit: '16MB',
  autoinstall_known_extensions: 'false',
  autoload_known_extensions: 'false',
};
export interface DirectoryLock {
  letGo(): void;
}

/**
 * Makes the directory, when it is not there, and locks it: before anything in it is looked at or changed. Throws
 * `directory_in_use` or `directory_unusable`.
 * @param name of the file that is kept open
 */
export async function lockDirectory(directory: string, name: string): Promise<DirectoryLock> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const detail = `${directory} cannot be used: ${(error as Error).message}`;
    throw new TallybookError('directory_unusable', detail, { cause: error });
  }
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
