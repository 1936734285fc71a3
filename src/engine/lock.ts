/** One at a time, in the order of asking. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve();
  #held = 0;

  /** Whether somebody has it, or waits for it. */
  get isHeld(): boolean {
    return this.#held > 0;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#held++;
    const mine = this.#last.then(work, work).finally(() => this.#held--);
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
