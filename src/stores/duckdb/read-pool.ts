/** Connections for reading: a few at most, made when they are needed, each used by one question at a time. */
import type { Connection } from './connection.ts';

export class ReadPool {
  readonly #open: () => Promise<Connection>;
  readonly #most: number;
  readonly #free: Connection[] = [];
  readonly #waiting: (() => void)[] = [];
  #inUse = 0;

  /** @param most how many it makes */
  constructor(open: () => Promise<Connection>, most: number) {
    this.#open = open;
    this.#most = most;
  }

  async use<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    while (this.#inUse >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inUse++;
    let connection: Connection | undefined;
    try {
      connection = this.#free.pop() ?? (await this.#open());
      return await work(connection);
    } finally {
      this.#inUse--;
      if (connection) this.#free.push(connection);
      this.#waiting.shift()?.();
    }
  }

  /** Waits for what runs, then closes all. */
  async close(): Promise<void> {
    while (this.#inUse > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    for (const connection of this.#free.splice(0)) connection.close();
  }
}
