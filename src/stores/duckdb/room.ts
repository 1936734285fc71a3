/** Room on the disk. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Below this, a commit may find no room. */
const tightBytes = 512 * 1024 * 1024;

/** Bytes that are free where a file is, or is to be. */
export async function roomFor(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}

export async function isTight(path: string): Promise<boolean> {
  return (await roomFor(path)) < tightBytes;
}
