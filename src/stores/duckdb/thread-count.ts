/**
 * How many threads DuckDB uses: one while only small batches are published, all while there is heavy work (a file, a
 * question, housekeeping), and for a moment after.
 *
 * A small batch has nothing to divide: with two threads its statements wake the second one for nothing, and a commit
 * of 32 records takes 15 ms and 17 ms of processor time instead of 10 and 10.
 */

import { Lock } from '../../engine/lock.ts';
import type { Connection } from './connection.ts';

/** To change the number takes 6 ms. With a fifth of this, four questions a second beside small batches took 31 ms, not 23. */
const calmMilliseconds = 1_000;

export class ThreadCount {
  readonly #connection: Connection;
  readonly #all: number;
  readonly #lock = new Lock();
  #heavy = 0;
  #current: number;
  #calming: NodeJS.Timeout | undefined;

  /** @param connection used for nothing else */
  constructor(connection: Connection, all: number) {
    this.#connection = connection;
    this.#all = all;
    this.#current = all;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#heavy++;
    clearTimeout(this.#calming);
    if (this.#current !== this.#all) await this.#lock.run(() => this.#set(this.#all));
    try {
      return await work();
    } finally {
      this.#heavy--;
      this.calm();
    }
  }

  /** Goes down to one thread unless heavy work comes. */
  calm(): void {
    if (this.#heavy > 0) return;
    clearTimeout(this.#calming);
    this.#calming = setTimeout(() => {
      void this.#lock.run(() => this.#set(this.#heavy > 0 ? this.#all : 1));
    }, calmMilliseconds);
    this.#calming.unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#calming);
    this.#heavy++; // nothing changes any more
    await this.#lock.run(async () => this.#connection.close());
  }

  async #set(threads: number): Promise<void> {
    if (threads === this.#current) return;
    await this.#connection.execute(`set threads = ${threads}`);
    this.#current = threads;
  }
}
