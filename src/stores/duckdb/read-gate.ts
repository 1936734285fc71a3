/**
 * Keeps answers apart from commits that append many rows.
 *
 * DuckDB 1.5 promises every transaction a snapshot. But rows that two threads have appended, a row group (122,880 rows) or
 * more of them in one thread, are in the table from the beginning of the commit, and get the number of their transaction
 * only at its end; in between everybody sees them. Beside commits that replaced 200,000 rows of 500,000, 268 of 854
 * questions counted 700,000. With one thread, or fewer rows, none did.
 *
 * So a statement that ran beside such a commit is run again, and none begins during one. In a transaction the statement
 * sees the same snapshot again.
 */
import { Lock } from '../../engine/lock.ts';

/** A commit of so many rows must go through the gate. */
export const gatedRows = 122_880;
/** A statement that met a commit so often keeps the next one waiting. */
const attemptsMost = 3;

export class ReadGate {
  readonly #lock = new Lock();
  /** How many were begun. */
  #commits = 0;
  #open: Promise<void> | undefined;
  #holding = 0;
  #whenFree: (() => void) | undefined;

  /** @param work reads, and changes nothing: it may be done several times */
  async read<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; attempt <= attemptsMost; attempt++) {
      while (this.#open) await this.#open;
      const commits = this.#commits;
      try {
        const result = await work();
        if (this.#commits === commits) return result;
      } catch (error) {
        if (this.#commits === commits) throw error;
      }
    }
    while (this.#open) await this.#open;
    this.#holding++;
    try {
      return await work();
    } finally {
      this.#holding--;
      if (this.#holding === 0) this.#whenFree?.();
    }
  }

  /** @param work the commit alone, not the statements before it */
  commit(work: () => Promise<void>): Promise<void> {
    return this.#lock.run(async () => {
      let open: () => void = () => undefined;
      this.#open = new Promise((resolve) => {
        open = resolve;
      });
      try {
        if (this.#holding > 0) await new Promise<void>((resolve) => (this.#whenFree = resolve));
        this.#commits++;
        await work();
      } finally {
        this.#whenFree = undefined;
        this.#open = undefined;
        open();
      }
    });
  }
}
