/**
 * Whether there is room for a commit on the disk of the data directory. Everybody may ask, without a key: so while there
 * is room, it is looked at once a second at most. While there is none, each time: who has made room need not wait.
 */
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A commit of a few records found room in 64 KiB, one of thousands takes more; but who has made room has made more than
 * this, and what does not fit all the same is refused by itself.
 */
const roomBytes = 1024 * 1024;
const lookAgainMilliseconds = 1_000;

export class DiskRoom {
  readonly #directory: string;
  /** When room was found last: seen to be free, and by writing. */
  #seenAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<boolean> | undefined;

  /** @param directory that there is; a file is written there for a moment */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param refused whether what was to be kept last found no room: then it is tried, for what is free may not be ours */
  isThere(refused: boolean): Promise<boolean> {
    const since = performance.now() - (refused ? this.#triedAt : this.#seenAt);
    if (since < lookAgainMilliseconds) return Promise.resolve(true);
    this.#looking ??= this.#look(refused).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(refused: boolean): Promise<boolean> {
    if (!(await this.#isFree()) || (refused && !(await this.#canWrite()))) return false;
    this.#seenAt = performance.now();
    if (refused) this.#triedAt = this.#seenAt;
    return true;
  }

  /** Where nobody can tell, there is room until something finds none. */
  async #isFree(): Promise<boolean> {
    const free = await statfs(this.#directory).catch(() => undefined);
    return free === undefined || free.bavail * free.bsize >= roomBytes;
  }

  async #canWrite(): Promise<boolean> {
    const path = join(this.#directory, 'room');
    try {
      await writeFile(path, Buffer.alloc(roomBytes), { flush: true });
      return true;
    } catch {
      return false;
    } finally {
      await rm(path, { force: true });
    }
  }
}
