/**
 * Keeps those who read rollups apart from the commit that replaces rows of one. DuckDB 1.5 promises every transaction a
 * snapshot, but one that runs while many rows are deleted and inserted in another's commit may see the old rows and the
 * new ones: asked all the time beside compactions, one answer in fifty was twice what it should be.
 */
export class ReadGate {
  #reading = 0;
  #closed: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  async read<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed) await this.#closed;
    this.#reading++;
    try {
      return await work();
    } finally {
      this.#reading--;
      if (this.#reading === 0) this.#onEmpty?.();
    }
  }

  /** Waits until nobody reads; nobody begins to before the work is done. One at a time. */
  async alone(work: () => Promise<void>): Promise<void> {
    let open: () => void = () => undefined;
    this.#closed = new Promise((resolve) => {
      open = resolve;
    });
    try {
      if (this.#reading > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
      await work();
    } finally {
      this.#onEmpty = undefined;
      this.#closed = undefined;
      open();
    }
  }
}
