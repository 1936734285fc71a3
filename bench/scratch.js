/**
 * Where a run puts its files and databases: one directory, gone when the run ends, however it ends. Each
 * contestant gets an empty directory of its own, each time.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inOwnProcess } from './own-process.js';

const AGAIN_BYTES = 64 << 10;

/** @param {string} parent */
export function makeScratch(parent) {
  const root = mkdtempSync(join(parent, 'tallybook-bench-'));
  // PostgreSQL may run as another user, who has to pass through here.
  chmodSync(root, 0o755);
  const remove = (path) => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  process.on('exit', () => remove(root));
  let made = 0;
  return {
    /** A made file of records. @param {{rows: number, prefix: string}} what */
    async file({ rows, prefix }) {
      const file = join(root, `${prefix}${rows}.csv`);
      await inOwnProcess('made-data.js', 'makeFile', { file, rows, prefix });
      return file;
    },
    /** The head of a file: records that a contestant has seen already. */
    headOf(file) {
      const again = `${file}.again.csv`;
      writeFileSync(again, headLines(file));
      return again;
    },
    /** @template T @param {(dir: string) => Promise<T>} work @returns {Promise<T>} */
    async inNewDirectory(work) {
      const dir = join(root, `d${made++}`);
      mkdirSync(dir, { mode: 0o755 });
      try {
        return await work(dir);
      } finally {
        remove(dir);
      }
    },
    remove,
  };
}

function headLines(file) {
  const handle = openSync(file, 'r');
  const head = Buffer.alloc(AGAIN_BYTES);
  const bytes = readSync(handle, head);
  closeSync(handle);
  return head.subarray(0, head.lastIndexOf(10, bytes - 1) + 1);
}
