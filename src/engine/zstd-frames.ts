/**
 * Follows the frames of a zstd (RFC 8878) without unpacking them, to see what unpacking would take. A frame asks for a
 * window, which may be of gigabytes, and our unpacker moves all of it with each block, of which a few bytes may make
 * one: 100 bytes could take all memory and minutes.
 */
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';

/** What may be moved in any case; and for each byte that was unpacked: blocks of 64 KB in the largest window. */
const movedFree = 1_073_741_824;
const movedPerByte = 2_048;

export class ZstdFrames {
  /** Bytes until the next header. */
  #skip = 0;
  #header: number[] = [];
  /** Within a frame: its window. */
  #window: number | undefined;
  #hasChecksum = false;
  #moved = 0;

  /** Bytes that are about to be unpacked, and how many came out before. Throws `too_large`. */
  take(chunk: Uint8Array, unpacked: number): void {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#skip, chunk.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at === chunk.length) return;
      this.#header.push(chunk[at++]!);
      const isRead = this.#window === undefined ? this.#readFrame() : this.#readBlock(this.#window);
      if (isRead) this.#header = [];
      if (this.#moved > movedFree + unpacked * movedPerByte)
        throw new TallybookError(
          'too_large',
          'the zstd has too many small blocks for its window; pack it again, without --long',
        );
    }
  }

  /** What is neither a frame nor to be skipped is left to the unpacker to refuse. */
  #readFrame(): boolean {
    const header = this.#header;
    if (header.length < 5) return false;
    const magic = littleEndian(header.slice(0, 4));
    if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) {
      if (header.length < 8) return false;
      this.#skip = littleEndian(header.slice(4));
      return true;
    }
    if (magic !== 0xfd2fb528) {
      this.#skip = Number.POSITIVE_INFINITY;
      return true;
    }
    const flags = header[4]!;
    const isSingle = (flags >> 5) & 1;
    const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
    const sizeBytes = flags >> 6 === 0 ? isSingle : 1 << (flags >> 6);
    const length = 6 - isSingle + dictionaryBytes + sizeBytes;
    if (header.length < length) return false;
    const exponent = 2 ** (10 + (header[5]! >> 3));
    this.#window = isSingle
      ? littleEndian(header.slice(length - sizeBytes)) + (sizeBytes === 2 ? 256 : 0)
      : exponent + (exponent / 8) * (header[5]! & 7);
    if (this.#window > limits.zstd_window_bytes)
      throw new TallybookError(
        'too_large',
        `the zstd needs a window of ${this.#window} bytes; at most ${limits.zstd_window_bytes} are given: pack it again, without --long`,
      );
    this.#hasChecksum = (flags & 4) !== 0;
    return true;
  }

  #readBlock(window: number): boolean {
    if (this.#header.length < 3) return false;
    const header = littleEndian(this.#header);
    const isRepeated = ((header >> 1) & 3) === 1;
    this.#skip = isRepeated ? 1 : header >> 3;
    this.#moved += window;
    if (header & 1) {
      this.#window = undefined;
      if (this.#hasChecksum) this.#skip += 4;
    }
    return true;
  }
}

function littleEndian(bytes: readonly number[]): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
