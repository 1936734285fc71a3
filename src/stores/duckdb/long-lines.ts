/**
 * Lines that are too long, found before DuckDB reads the file: it reports those of a few megabytes, but steps over
 * one that exceeds its buffers without a word, and not a byte may be lost without a word.
 *
 * A line longer than a megabyte covers one of the blocks into which the file is read, so a look for one line end a
 * block is enough, which costs little more than reading. Only if a block has none, the file is copied with the long
 * lines cut; what is left of them says so, and becomes a reject like any other line that cannot be read.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { limits } from '../../engine/limits.ts';

const blockBytes = 1024 * 1024;
const keptBytes = 1000;
const note = Buffer.from(`(a line longer than ${limits.record_bytes} bytes) `);
const newLine = 0x0a;

/**
 * Returns the path of a file without over-long lines: the same one, or a copy at `copyPath`.
 * @param separator of cells; what is left of a line gets too many of them to pass for a row
 */
export async function withoutLongLines(
  path: string,
  copyPath: string,
  separator: string,
  signal?: AbortSignal,
): Promise<string> {
  if (!(await mayHaveLongLines(path))) return path;
  await pipeline(
    createReadStream(path, { highWaterMark: blockBytes }),
    (blocks) => cutLongLines(blocks, separator),
    createWriteStream(copyPath, { mode: 0o600 }),
    { ...(signal ? { signal } : {}) },
  );
  return copyPath;
}

async function mayHaveLongLines(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const block = Buffer.allocUnsafe(blockBytes);
    for (;;) {
      const { bytesRead } = await file.read(block, 0, blockBytes, null);
      if (bytesRead < blockBytes) return false;
      if (block.indexOf(newLine) < 0) return true;
    }
  } finally {
    await file.close();
  }
}

async function* cutLongLines(blocks: AsyncIterable<Buffer>, separator: string): AsyncIterable<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  /** Whether the line that is being read is known to be too long; then its start has been written already. */
  let long = false;
  for await (const block of blocks) {
    let at = 0;
    while (at < block.length) {
      const end = block.indexOf(newLine, at);
      const piece = block.subarray(at, end < 0 ? block.length : end + 1);
      at += piece.length;
      bytes += piece.length;
      if (!long) held.push(piece);
      if (!long && bytes > limits.record_bytes) {
        long = true;
        // Without quotes and separators: it must not open a quote that swallows the lines behind it.
        const start = Buffer.concat(held)
          .subarray(0, keptBytes)
          .toString('latin1')
          .replace(/[^\x20-\x7e]|["',\t]/g, ' ');
        yield Buffer.concat([note, Buffer.from(start + separator.repeat(limits.stream_fields_max + 1))]);
        held = [];
      }
      if (end < 0) continue;
      if (long) yield Buffer.from('\n');
      else yield* held;
      held = [];
      bytes = 0;
      long = false;
    }
  }
  yield* held;
}
