/**
 * Keys of sources. A key is `tb_` and 32 random bytes; it is shown once, when it is made. Only its SHA-256 is
 * kept: a key has 256 random bits, so a slow hash would protect nothing that a fast one does not.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface KeptKey {
  /** Names the key where the key itself must not be shown. */
  id: string;
  sha256: string;
  created_at: string;
}

export function makeKey(): { key: string; kept: KeptKey } {
  const key = `tb_${randomBytes(32).toString('base64url')}`;
  const kept = {
    id: randomBytes(4).toString('hex'),
    sha256: hashOfKey(key),
    created_at: new Date().toISOString(),
  };
  return { key, kept };
}

export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Writes a key for its owner's eyes only. A file that is there already is replaced. */
export async function writeKeyFile(path: string, key: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${key}\n`, { mode: 0o600 });
  await chmod(path, 0o600); // the mode above is only for a file that is made
}
