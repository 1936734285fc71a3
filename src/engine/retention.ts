/**
 * Housekeeping: once an hour, records past their stream's retention are dropped, and rollups are compacted. Sums do
 * not change by either. The timer keeps no process alive.
 */
import { formatTimestamp, type Micros, nowMicros } from './calendar.ts';
import type { Log } from './log.ts';
import type { Store, StreamState } from './store.ts';
import type { Stream } from './stream.ts';

const hourMilliseconds = 3_600_000;
/** After a start: soon, so that a process that is restarted often still tidies up, but not while it is starting. */
const firstMilliseconds = 60_000;

/** The oldest time that the stream still keeps; undefined when it keeps everything. */
export function horizonOf(stream: Stream, now: Micros): Micros | undefined {
  return stream.retention === undefined ? undefined : now - stream.retention;
}

export class Housekeeping {
  readonly #store: Store;
  readonly #streams: () => Stream[];
  readonly #log: Log;
  /** What the store said of each stream when it was prepared, and what has been dropped since. */
  readonly #states = new Map<string, StreamState>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(store: Store, streams: () => Stream[], log: Log) {
    this.#store = store;
    this.#streams = streams;
    this.#log = log;
  }

  /** Takes over what `Store.prepare` tells. */
  learn(states: Map<string, StreamState>): void {
    for (const [name, state] of states) this.#states.set(name, state);
  }

  stateOf(stream: Stream): StreamState {
    return this.#states.get(stream.name) ?? { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  }

  start(): void {
    this.#schedule(firstMilliseconds);
  }

  /** Drops what is past retention now; one run at a time. Returns how many records went. */
  tend(compact: boolean): Promise<number> {
    const run = this.#running.then(() => this.#tend(compact));
    this.#running = run.catch(() => undefined);
    return run;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(milliseconds: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.tend(true)
        .catch((error: unknown) =>
          this.#log.error({ err: error }, 'housekeeping failed; it is tried again in an hour'),
        )
        .finally(() => this.#schedule(hourMilliseconds));
    }, milliseconds);
    this.#timer.unref();
  }

  async #tend(compact: boolean): Promise<number> {
    const now = nowMicros();
    const drop = this.#streams().flatMap((stream) => {
      const before = horizonOf(stream, now);
      return before === undefined ? [] : [{ stream, before }];
    });
    if (drop.length === 0 && !compact) return 0;
    // Before it happens: a question that is asked meanwhile must not be answered from what is half gone.
    for (const { stream, before } of drop)
      this.#states.set(stream.name, { ...this.stateOf(stream), droppedBefore: before });
    const { dropped } = await this.#store.tend({ drop, compact });
    if (dropped > 0) {
      const until = Object.fromEntries(
        drop.map(({ stream, before }) => [stream.name, formatTimestamp(before)]),
      );
      this.#log.info({ dropped, until }, 'dropped records past their retention');
    }
    return dropped;
  }
}
