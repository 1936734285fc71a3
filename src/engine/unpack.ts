/**
 * Unpacking files, strictly and within bounds: a truncated or damaged file is an error, and a small one that unpacks
 * to something huge (a bomb) is refused beyond a first part that is free.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import type { Compression } from './store.ts';
import { ZstdFrames } from './zstd-frames.ts';

/** Unpacks a file into another. Throws `unreadable_body` or `too_large`; what was written by then must be removed. */
export async function unpackFile(
  from: string,
  to: string,
  compression: Exclude<Compression, 'none'>,
  signal?: AbortSignal,
): Promise<void> {
  const input = createReadStream(from);
  try {
    await pipeline(
      input,
      unpacker(compression),
      checkingRatio(() => input.bytesRead),
      createWriteStream(to, { mode: 0o600 }),
      { ...(signal ? { signal } : {}) },
    );
  } catch (error) {
    if (error instanceof TallybookError || (error as Error).name === 'AbortError') throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new TallybookError(
        'storage_full',
        'the disk is full, and nothing of the file was kept; make room, then send it again',
        { cause: error },
      );
    }
    throw new TallybookError(
      'unreadable_body',
      `the ${compression} file is truncated or damaged (${(error as Error).message}); pack it again`,
      { cause: error },
    );
  }
}

export function unpacker(compression: Exclude<Compression, 'none'>): Transform {
  return compression === 'gzip' ? createGunzip({ chunkSize: 65_536 }) : zstdUnpacker();
}

/**
 * Node 20 has no zstd of its own. What is pushed into this one is unpacked at once, all of it, and four bytes can stand
 * for 128 KB: so it is pushed in small slices, each checked before the next.
 */
function zstdUnpacker(): Transform {
  const unpacking = new Decompress();
  const frames = new ZstdFrames();
  let packed = 0;
  let unpacked = 0;
  const unpack = async (chunk: Buffer): Promise<void> => {
    let since = performance.now();
    for (let at = 0; at < chunk.length; at += zstdSliceBytes) {
      const slice = chunk.subarray(at, at + zstdSliceBytes);
      frames.take(slice, unpacked);
      packed += slice.length;
      unpacking.push(slice);
      checkRatio(packed, unpacked);
      // Others are served meanwhile.
      if (performance.now() - since < zstdTurnMilliseconds) continue;
      await setImmediate();
      since = performance.now();
    }
  };
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      unpack(chunk).then(() => done(), done);
    },
    flush(done) {
      attempt(() => unpacking.push(new Uint8Array(0), true), done);
    },
  });
  unpacking.ondata = (data) => {
    unpacked += data.length;
    stream.push(data);
  };
  return stream;
}
const zstdSliceBytes = 512;
const zstdTurnMilliseconds = 20;

function attempt(work: () => void, done: (error?: Error) => void): void {
  try {
    work();
    done();
  } catch (error) {
    done(error as Error);
  }
}

function checkingRatio(packed: () => number): Transform {
  let unpacked = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      unpacked += chunk.length;
      attempt(
        () => checkRatio(packed(), unpacked),
        (error) => done(error, chunk),
      );
    },
  });
}

/** Throws `too_large` when what came out is too much for what went in. */
export function checkRatio(packed: number, unpacked: number): void {
  if (unpacked > limits.bomb_free_bytes && unpacked > packed * limits.unpack_ratio) {
    throw new TallybookError(
      'too_large',
      `${packed} packed bytes unpack to more than ${unpacked}; at most ${limits.unpack_ratio} times as much is taken: send it unpacked, or in parts`,
    );
  }
}
