/**
 * What is inside a file, told before it is imported: how it is packed, and the hash of its content, from which rows
 * with no id of their own get one. The hash is that of the unpacked bytes, so that a file and its gzip are the
 * same content. Where this Node cannot unpack zstd, it is that of the packed bytes.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { TallybookError } from './errors.ts';
import type { Compression, FileFormat } from './store.ts';

/** How a file is packed, by its first bytes: a name or a header may be wrong, they cannot. */
export function compressionOfBytes(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
  if (start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd) return 'zstd';
  return 'none';
}

export async function compressionOfFile(path: string): Promise<Compression> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return compressionOfBytes(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

const formatOfEnding: Record<string, FileFormat> = {
  csv: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  parquet: 'parquet',
};

/** The format that a file's name tells, or undefined: `usage.csv.gz` is a csv. */
export function formatOfName(name: string): FileFormat | undefined {
  const endings = name.toLowerCase().split('.').slice(1);
  if (endings.at(-1) === 'gz' || endings.at(-1) === 'zst') endings.pop();
  return formatOfEnding[endings.at(-1) ?? ''];
}

/**
 * SHA-256 of the content, in hex. Throws `import_failed` for a broken gzip.
 * @param onBytes is told how many bytes of the file were read, and the content piece by piece
 */
export async function contentHash(
  path: string,
  compression: Compression,
  signal: AbortSignal,
  onBytes: (packed: number, content: Buffer) => void,
): Promise<string> {
  const hash = createHash('sha256');
  const packed = createReadStream(path, { highWaterMark: 1 << 18 });
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      onBytes(packed.bytesRead, chunk);
      done();
    },
  });
  if (compression !== 'gzip') {
    await pipeline(packed, sink, { signal });
    return hash.digest('hex');
  }
  try {
    await pipeline(packed, createGunzip({ chunkSize: 1 << 18 }), sink, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new TallybookError(
      'import_failed',
      `the gzip cannot be unpacked: ${(error as Error).message}; pack the file again`,
      { cause: error },
    );
  }
  return hash.digest('hex');
}
