/**
 * The journal: small batches that were acknowledged and are not in the database yet (see intake.ts).
 *
 * Batches that follow each other make a run, which goes into the database in one commit. Two files take turns: a run
 * begins at the start of the one that no unfinished run is in, over what an older one has left there. A frame is a
 * batch: its length, its CRC-32, and JSON with the number of its run. A run ends where a frame is cut off, damaged, or
 * of another run. Nothing is ever removed: a batch that is in the database is known by its number in `parts`.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { TallybookError } from '../../engine/errors.ts';
import type { NamedDelivery } from '../../engine/named-delivery.ts';
import type { VerdictName } from '../../engine/verdicts.ts';

/** A batch, as it stands in the journal. */
export interface Frame {
  /** The number of the first batch of its run. */
  run: number;
  batch: number;
  /** Microseconds since 1970, in decimal. */
  recordedAt: string;
  /** With the verdict of each record, unless all were surely new. */
  deliveries: (NamedDelivery & { verdicts?: VerdictName[] })[];
}

const headBytes = 8;
/** Files grow by so much at a time: writing within one needs no change of its length, and is synced faster. */
const growBytes = 1024 * 1024;

class JournalFile {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #length = 0;
  #end = 0;
  /** The unfinished run that it holds. */
  run: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<Frame[]> {
    const bytes = await readFile(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    });
    const frames: Frame[] = [];
    for (let at = 0; at + headBytes <= bytes.length; ) {
      const length = bytes.readUInt32LE(at);
      const payload = bytes.subarray(at + headBytes, at + headBytes + length);
      if (length === 0 || payload.length < length || crc32(payload) !== bytes.readUInt32LE(at + 4)) break;
      const frame = JSON.parse(payload.toString()) as Frame;
      if (frames.length > 0 && frame.run !== frames[0]!.run) break;
      frames.push(frame);
      at += headBytes + length;
    }
    this.run = frames[0]?.run;
    return frames;
  }

  async append(frame: Frame): Promise<void> {
    this.#handle ??= await this.#open();
    // Until it is on disk, the run has not begun: what could not be written must not hold the file.
    const at = this.run === frame.run ? this.#end : 0;
    const payload = Buffer.from(JSON.stringify(frame));
    const bytes = Buffer.alloc(headBytes + payload.length);
    bytes.writeUInt32LE(payload.length, 0);
    bytes.writeUInt32LE(crc32(payload), 4);
    payload.copy(bytes, headBytes);
    const end = at + bytes.length;
    while (this.#length < end) {
      await writeWhole(this.#handle, Buffer.alloc(growBytes), this.#length);
      this.#length += growBytes;
    }
    try {
      await writeWhole(this.#handle, bytes, at);
      await this.#handle.datasync();
    } catch (error) {
      // It was refused, so it must not be found at the next start.
      await writeWhole(this.#handle, Buffer.alloc(headBytes), at).catch(() => undefined);
      throw error;
    }
    this.run = frame.run;
    this.#end = end;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#path, 'r+').catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      const created = await open(this.#path, 'w+', 0o600);
      await syncDirectory(dirname(this.#path));
      return created;
    });
    this.#length = (await handle.stat()).size;
    return handle;
  }
}

export class Journal {
  readonly #files: readonly JournalFile[];

  constructor(directory: string) {
    this.#files = [0, 1].map((number) => new JournalFile(join(directory, `journal-${number}`)));
  }

  /** The runs that the files hold, oldest first: to be called once, before anything is appended. */
  async read(): Promise<Frame[][]> {
    const runs: Frame[][] = [];
    for (const file of this.#files) {
      const frames = await file.read();
      if (frames.length > 0) runs.push(frames);
    }
    return runs.sort(([a], [b]) => a!.run - b!.run);
  }

  /** Appends a batch, and resolves when it is on disk. Throws `storage_full`: then nothing of it will be read. */
  async append(frame: Frame): Promise<void> {
    const file =
      this.#files.find(({ run }) => run === frame.run) ?? this.#files.find(({ run }) => run === undefined);
    if (!file) throw new Error('two runs are in the journal already');
    try {
      await file.append(frame);
    } catch (error) {
      if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      const detail = 'the disk is full, and nothing of this was kept; make room, then send it again';
      throw new TallybookError('storage_full', detail, { cause: error });
    }
  }

  /** The run is in the database: its place can be taken. */
  finished(run: number): void {
    for (const file of this.#files) if (file.run === run) file.run = undefined;
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}

async function writeWhole(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** A file that is new must be found again after a loss of power. */
async function syncDirectory(directory: string): Promise<void> {
  // Windows knows no such thing, and needs none.
  const handle = await open(directory, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
