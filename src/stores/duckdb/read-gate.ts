/**
 * Keeps answers apart from commits beside which DuckDB 1.5 does not keep its promise of a snapshot.
 *
 * Rows that two threads have appended, a row group (122,880 rows) or more of them in one thread, are in the table from
 * the beginning of the commit, and get the number of their transaction only at its end; in between everybody sees them.
 * Beside commits that replaced 200,000 rows of 500,000, 268 of 854 questions counted 700,000. With one thread, or fewer
 * rows, none did. So a statement that ran beside such a commit is run again, and none begins during one. In a transaction
 * the statement sees the same snapshot again.
 *
 * A commit that finds no room on the disk takes back what it has appended already; a statement that is reading it then
 * fails with an error after which the database answers nothing any more ("Attempted to access index 1 within vector of
 * size 0"). So where room is tight, a commit waits until nobody reads.
 */
import { Lock } from '../../engine/lock.ts';

/** A commit of fewer rows needs no gate. */
const gatedRows = 122_880;
/** A statement that met a commit so often keeps the next one waiting. */
const attemptsMost = 3;

export class ReadGate {
  readonly #lock = new Lock();
  readonly #isTight: () => Promise<boolean>;
  /** How many were begun. */
  #commits = 0;
  #open: Promise<void> | undefined;
  #reading = 0;
  /** Of these, those that no commit may disturb. */
  #holding = 0;
  #whenLeft: (() => void) | undefined;

  /** @param isTight whether there is so little room on the disk that a commit may find none */
  constructor(isTight: () => Promise<boolean>) {
    this.#isTight = isTight;
  }

  /** @param work reads, and changes nothing: it may be done several times */
  async read<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; attempt <= attemptsMost; attempt++) {
      while (this.#open) await this.#open;
      const commits = this.#commits;
      try {
        const result = await this.#enter(work);
        if (this.#commits === commits) return result;
      } catch (error) {
        if (this.#commits === commits) throw error;
      }
    }
    while (this.#open) await this.#open;
    this.#holding++;
    try {
      return await this.#enter(work);
    } finally {
      this.#holding--;
      this.#whenLeft?.();
    }
  }

  async #enter<T>(work: () => Promise<T>): Promise<T> {
    this.#reading++;
    try {
      return await work();
    } finally {
      this.#reading--;
      this.#whenLeft?.();
    }
  }

  /**
   * @param work the commit alone, not the statements before it
   * @param rows that it has appended to a table at most
   */
  async commit(work: () => Promise<void>, rows = Number.POSITIVE_INFINITY): Promise<void> {
    const tight = await this.#isTight();
    if (!tight && rows < gatedRows) return work();
    await this.#lock.run(async () => {
      let open: () => void = () => undefined;
      this.#open = new Promise((resolve) => {
        open = resolve;
      });
      try {
        while (tight ? this.#reading > 0 : this.#holding > 0)
          await new Promise<void>((resolve) => {
            this.#whenLeft = resolve;
          });
        this.#commits++;
        await work();
      } finally {
        this.#whenLeft = undefined;
        this.#open = undefined;
        open();
      }
    });
  }
}
