/**
 * Unpacking what comes packed, within bounds. A small body may unpack to something huge (a bomb): beyond a first part
 * that is free, it may grow only by a ratio.
 *
 * Node 20 cannot unpack zstd; where that is so, zstd is spooled as it came and unpacked by the store.
 */
import type { Readable, Transform } from 'node:stream';
import zlib from 'node:zlib';
import { TallybookError } from '../engine/errors.ts';
import type { Compression } from '../engine/store.ts';

const createZstd = (zlib as { createZstdDecompress?: () => Transform }).createZstdDecompress;

export const unpacksZstd = createZstd !== undefined;

/** How a body is packed, by its content-encoding. Throws `unsupported_format`. */
export function compressionOfHeader(encoding: string | undefined): Compression {
  switch (encoding?.trim().toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return 'none';
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'zstd':
      return 'zstd';
    default:
      throw new TallybookError(
        'unsupported_format',
        `content-encoding is ${encoding}; expected gzip, zstd or none`,
      );
  }
}

export function unpacker(compression: Exclude<Compression, 'none'>): Transform {
  if (compression === 'gzip') return zlib.createGunzip({ chunkSize: 65_536 });
  if (!createZstd) throw new Error('this Node cannot unpack zstd');
  return createZstd();
}

/**
 * Feeds a request's body to an unpacker, keeping its pace. Not `pipeline`: that would destroy the request, and the
 * connection with it, where an answer must still be sent. Returns how to stop.
 */
export function feed(payload: Readable, into: Transform, onBytes: (bytes: number) => void): () => void {
  const onData = (chunk: Buffer): void => {
    onBytes(chunk.length);
    if (!into.write(chunk)) payload.pause();
  };
  const onDrain = (): void => void payload.resume();
  const onEnd = (): void => void into.end();
  const onError = (error: Error): void => void into.destroy(error);
  payload.on('data', onData).on('end', onEnd).on('error', onError);
  into.on('drain', onDrain);
  return () => {
    payload.off('data', onData).off('end', onEnd).off('error', onError);
    into.off('drain', onDrain).destroy();
  };
}

/** What went wrong while a body was read, in words for its sender. */
export function bodyError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') return cutOff();
  if (!/^(Z_|ZSTD_)/.test(code)) return error;
  return new TallybookError(
    'unreadable_body',
    `the body cannot be unpacked: ${(error as Error).message}; nothing of it was kept`,
    { cause: error },
  );
}

export function cutOff(): TallybookError {
  return new TallybookError(
    'unreadable_body',
    'the connection was closed before the whole body had come; nothing of it was kept',
  );
}
