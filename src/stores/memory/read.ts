/**
 * Files are read whole, at once. Differences to other stores, both refused with `unsupported_format`: Parquet files
 * (nothing here reads them) and zstd (Node 20 cannot unpack it).
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { TallybookError } from '../../engine/errors.ts';
import { fileReader } from '../../engine/file-rows.ts';
import type { Row } from '../../engine/rows.ts';
import type { File, Mode } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';

export function readFile(stream: Stream, content: File, mode: Mode): Row[] {
  const reader = fileReader(stream, content, mode);
  return [...reader.push(unpack(content)), ...reader.end()];
}

function unpack(content: File): Buffer {
  const bytes = readFileSync(content.path);
  switch (content.compression) {
    case 'none':
      return bytes;
    case 'gzip':
      try {
        return gunzipSync(bytes);
      } catch (error) {
        throw new TallybookError(
          'import_failed',
          `the file cannot be unpacked: ${(error as Error).message}`,
          { cause: error },
        );
      }
    case 'zstd':
      throw new TallybookError('unsupported_format', 'the memory store cannot unpack zstd; send gzip');
  }
}
