/**
 * The filter of known ids (id-filter.ts) on disk, so that a start does not have to learn it again: reading it takes 0.1 s
 * for 20 million ids, learning it 5 s, in which every small batch waits for a scan of what is not learned yet.
 *
 * It may be missing, damaged, or older than the ledger: what it does not cover is learned. What must never be is that it
 * claims to cover what it does not hold. So it names the last seq that was committed when it was taken, and the mark that
 * the ledger was given with it: beside a ledger that was put back to another state, it counts for nothing.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { newSegment, type Segment, type SeqRange } from './id-filter.ts';
import { roomFor } from './room.ts';

export interface KeptIds {
  segments: Segment[];
  /** Entries up to this one are in the segments, but for those that are listed as uncovered. */
  upTo: bigint;
  uncovered: SeqRange[];
}

interface SegmentHead {
  from: string;
  to: string;
  hashes: number;
  capacity: number;
  crc: number;
}

interface Head {
  version: typeof version;
  mark: string;
  upTo: string;
  uncovered: { from: string; to: string }[];
  segments: number;
}

/** Of the file, and of the bits that a hash sets. */
const version = 2;
const lengthBytes = 4;
const roomFactor = 4;
/** No head is longer, however many ranges are uncovered. */
const headBytesMost = 1024 * 1024;

/** Writes a file anew; not where that could take the room that records need. Segments may get further hashes meanwhile, which does no harm. */
export async function writeKeptIds(
  path: string,
  mark: string,
  { segments, upTo, uncovered }: KeptIds,
): Promise<void> {
  const bytes = segments.reduce((sum, { words }) => sum + words.byteLength, 0);
  if ((await roomFor(path)) < roomFactor * bytes) throw new Error('there is too little room on the disk');
  const handle = await open(path, 'w', 0o600);
  try {
    const head: Head = {
      version,
      mark,
      upTo: String(upTo),
      uncovered: uncovered.map(({ from, to }) => ({ from: String(from), to: String(to) })),
      segments: segments.length,
    };
    await writeHead(handle, head);
    for (const { words, from, to, hashes, capacity } of segments) {
      // A copy, so that its sum is that of what is written.
      const copy = Buffer.from(words.slice().buffer);
      await writeHead(handle, { from: String(from), to: String(to), hashes, capacity, crc: crc32(copy) });
      await handle.writeFile(copy);
    }
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** Undefined when there is none, it is damaged, or it was taken of another state of the ledger. */
export async function readKeptIds(path: string, mark: string): Promise<KeptIds | undefined> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (!handle) return undefined;
  try {
    const head = (await readHead(handle)) as Head | undefined;
    if (head?.version !== version || head.mark !== mark) return undefined;
    const segments: Segment[] = [];
    for (let i = 0; i < head.segments; i++) {
      const of = (await readHead(handle)) as SegmentHead | undefined;
      if (!of) return undefined;
      const segment = newSegment(BigInt(of.from), of.capacity);
      const bytes = Buffer.from(segment.words.buffer);
      if (segment.capacity !== of.capacity || !(await readWhole(handle, bytes)) || crc32(bytes) !== of.crc)
        return undefined;
      segments.push(Object.assign(segment, { to: BigInt(of.to), hashes: of.hashes }));
    }
    const uncovered = head.uncovered.map(({ from, to }) => ({ from: BigInt(from), to: BigInt(to) }));
    return { segments, upTo: BigInt(head.upTo), uncovered };
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}

async function writeHead(handle: FileHandle, head: Head | SegmentHead): Promise<void> {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(text.length);
  await handle.writeFile(Buffer.concat([length, text]));
}

async function readHead(handle: FileHandle): Promise<unknown> {
  const length = Buffer.alloc(lengthBytes);
  if (!(await readWhole(handle, length)) || length.readUInt32LE() > headBytesMost) return undefined;
  const text = Buffer.alloc(length.readUInt32LE());
  return (await readWhole(handle, text)) ? JSON.parse(text.toString()) : undefined;
}

/** False when the file ends before. */
async function readWhole(handle: FileHandle, bytes: Buffer): Promise<boolean> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, null);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}
