/** The name that a gzip file had before it was packed, as its header keeps it (RFC 1952, FNAME). */
import { open } from 'node:fs/promises';

const headerBytes = 4_096;
const [extra, name] = [4, 8];

/** Undefined where the header keeps none, or is no header of a gzip. */
export async function nameInGzip(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    return nameInHeader(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

export function nameInHeader(bytes: Buffer): string | undefined {
  if (bytes.length < 12 || bytes[0] !== 0x1f || bytes[1] !== 0x8b) return undefined;
  const flags = bytes[3]!;
  if ((flags & name) === 0) return undefined;
  const at = (flags & extra) === 0 ? 10 : 12 + bytes.readUInt16LE(10);
  const end = bytes.indexOf(0, at);
  if (end <= at) return undefined;
  // Latin-1, as the format has it.
  return bytes.toString('latin1', at, end);
}
