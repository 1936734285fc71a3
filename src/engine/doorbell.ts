/** Wakes one who follows what comes: a ring while nobody waits is not lost, and several are one. */
export class Doorbell {
  #rung = false;
  #wake = (): void => undefined;

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  /** Resolves with the first ring since the last time it resolved. */
  async answered(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#rung = false;
  }
}
