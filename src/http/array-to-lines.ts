/**
 * A JSON array that is too large for memory, rewritten as NDJSON: cut at the commas of its top level, byte by byte,
 * without building a value. Line breaks between tokens become spaces; inside of a string JSON allows none.
 *
 * Only the frame is checked here: an element that is broken in itself is rejected on its own.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { TallybookError } from '../engine/errors.ts';

const [quote, backslash, comma, newline, carriage, space, tab] = [34, 92, 44, 10, 13, 32, 9];
const [openBracket, closeBracket, openBrace, closeBrace] = [91, 93, 123, 125];

export async function arrayFileToLines(from: string, to: string): Promise<void> {
  const out = await open(to, 'wx', 0o600);
  try {
    const splitter = new Splitter();
    for await (const chunk of createReadStream(from, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      await out.writeFile(splitter.take(chunk));
    }
    splitter.end();
  } finally {
    await out.close();
  }
}

class Splitter {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #started = false;
  #ended = false;

  /** The chunk with its top-level commas as line ends, without the outer brackets. The bytes are changed in place. */
  take(chunk: Buffer): Buffer {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
        else if (byte === newline || byte === carriage) throw broken('a string holds a line break');
        continue;
      }
      if (byte === newline || byte === carriage || byte === tab || byte === space) {
        chunk[i] = space;
        continue;
      }
      if (this.#ended) throw broken('something follows the closing bracket');
      if (!this.#started) {
        // A byte order mark may come first.
        if (byte === 0xef || byte === 0xbb || byte === 0xbf) {
          chunk[i] = space;
          continue;
        }
        if (byte !== openBracket) throw broken('it does not start with a bracket');
        this.#started = true;
        this.#depth = 1;
        chunk[i] = space;
      } else if (byte === quote) this.#inString = true;
      else if (byte === openBrace || byte === openBracket) this.#depth++;
      else if (byte === closeBrace || byte === closeBracket) {
        this.#depth--;
        if (this.#depth === 0) {
          if (byte === closeBrace) throw broken('a brace closes the array');
          this.#ended = true;
          chunk[i] = newline;
        }
      } else if (byte === comma && this.#depth === 1) chunk[i] = newline;
    }
    return chunk;
  }

  end(): void {
    if (!this.#ended) throw broken('it ends before the closing bracket');
  }
}

function broken(why: string): TallybookError {
  return new TallybookError('unreadable_body', `the body is no JSON array: ${why}; nothing of it was kept`);
}
