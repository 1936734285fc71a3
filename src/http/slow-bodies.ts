/**
 * Bodies that trickle in. A body that comes in one piece costs nothing here; one that does not is watched: when
 * nothing of it comes for a while, or it takes too long as a whole, it is given up and its connection closed.
 */
import { TallybookError } from '../engine/errors.ts';
import { limits } from '../engine/limits.ts';

const lookMilliseconds = 5_000;

export interface Watched {
  /** Call when something of the body has come. */
  seen(): void;
  done(): void;
}

interface Entry {
  startedAt: number;
  seenAt: number;
  seconds: number;
  giveUp: (error: Error) => void;
}

class SlowBodies {
  readonly #entries = new Set<Entry>();
  #timer: NodeJS.Timeout | undefined;

  /** `seconds`: until all of it must have come, for a body that is read into memory. */
  watch(seconds: number, giveUp: (error: Error) => void): Watched {
    const now = performance.now();
    const entry: Entry = { startedAt: now, seenAt: now, seconds, giveUp };
    this.#entries.add(entry);
    this.#timer ??= setInterval(() => this.#look(), lookMilliseconds).unref();
    return {
      seen: () => {
        entry.seenAt = performance.now();
      },
      done: () => {
        this.#entries.delete(entry);
        if (this.#entries.size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  #look(): void {
    const now = performance.now();
    for (const entry of this.#entries) {
      const idle = now - entry.seenAt > limits.body_idle_seconds * 1000;
      const late = now - entry.startedAt > entry.seconds * 1000;
      if (!idle && !late) continue;
      const found = idle
        ? `nothing of it came for ${limits.body_idle_seconds} seconds`
        : `it was not there after ${entry.seconds} seconds`;
      entry.giveUp(
        new TallybookError('unreadable_body', `the body was given up: ${found}; nothing of it was kept`),
      );
    }
  }
}

/** Of this process. */
export const slowBodies = new SlowBodies();
