/** Opening a database file: DuckDB holds a lock on it from then on, and whoever comes second is told who has it. */
import { DuckDBInstance } from '@duckdb/node-api';
import { TallybookError } from '../../engine/errors.ts';

/**
 * Throws `directory_in_use` or `directory_unusable`.
 * @param place what to call it
 */
export async function openInstance(
  path: string,
  settings: Record<string, string>,
  place = path,
): Promise<DuckDBInstance> {
  try {
    return await DuckDBInstance.create(path, settings);
  } catch (error) {
    const message = (error as Error).message;
    const holder = /lock.*?PID (\d+)/is.exec(message)?.[1];
    if (holder || /could not set lock/i.test(message)) {
      throw new TallybookError(
        'directory_in_use',
        `${place} is in use by ${holder ? `process ${holder}` : 'another process'}; stop it, or name another directory with --data`,
        { cause: error },
      );
    }
    throw new TallybookError('directory_unusable', `${path} cannot be opened: ${message.split('\n')[0]}`, {
      cause: error,
    });
  }
}
