/**
 * Lanes: a batch is staged while the one before it is being committed.
 *
 * Staging reads no table of the ledger, and takes two thirds of the time of a batch of some thousand records. So it is
 * done before the writer's lock is had, on a connection with temporary tables of its own, on which the batch is published
 * then. One batch at a time is staged and one is published: that takes two lanes.
 */
import type { Connection } from './connection.ts';
import type { PartWriter } from './part.ts';

export interface Lane {
  connection: Connection;
  parts: PartWriter;
}

const most = 2;

export class Lanes {
  readonly #open: () => Promise<Lane>;
  readonly #all: Lane[] = [];
  readonly #free: Lane[] = [];
  readonly #waiting: ((lane: Lane) => void)[] = [];
  /** The statements of lanes that are not among them were planned before the tables changed. */
  #current = new Set<Lane>();
  #inUse = 0;

  constructor(open: () => Promise<Lane>) {
    this.#open = open;
  }

  get inUse(): number {
    return this.#inUse;
  }

  /** A lane of one's own; whoever asks first has one first. */
  async take(): Promise<Lane> {
    this.#inUse++;
    try {
      const lane = this.#free.pop() ?? (this.#inUse <= most ? await this.#another() : await this.#next());
      if (!this.#current.has(lane)) lane.connection.forget();
      this.#current.add(lane);
      return lane;
    } catch (error) {
      this.#inUse--;
      throw error;
    }
  }

  give(lane: Lane): void {
    this.#inUse--;
    const next = this.#waiting.shift();
    if (next) next(lane);
    else this.#free.push(lane);
  }

  /** To be called when tables have changed: kept statements would have to be planned again. */
  forget(): void {
    this.#current = new Set();
  }

  /** None may be in use any more. */
  close(): void {
    for (const { connection } of this.#all) connection.close();
  }

  async #another(): Promise<Lane> {
    const lane = await this.#open();
    this.#all.push(lane);
    return lane;
  }

  #next(): Promise<Lane> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
