/**
 * Counts as they change: server-sent events after commits. Whoever listens is told of every space first, and then of
 * those whose count is another one. One calculation serves all who listen; between two there is a pause of a few times
 * what the last one took, so that it never takes more than a share of the machine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from 'typebox';
import { nowMicros } from '../../engine/calendar.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { BatchEvent } from '../../engine/writer.ts';
import type { Route } from '../system.ts';
import { buildingOf, type Space } from './building.ts';
import { countsAt } from './counts.ts';
import { countParameters, shown, spaceOf, time, utilisation } from './parameters.ts';
import { countedStreams } from './streams.ts';

const shortestPause = 50;
const pauseShare = 3;
/** What changes without a commit: a nightly reset, a passage of a sensor whose clock is ahead. */
const lookAgainMilliseconds = 30_000;

const names = new Set(countedStreams.map(({ name }) => name));
/** Whether a commit may have changed a count. */
export function changesCounts({ counts }: BatchEvent): boolean {
  return [...counts].some(
    ([name, { accepted, corrected, retracted }]) => names.has(name) && accepted + corrected + retracted > 0,
  );
}

/** Does something after commits that may have changed a count, once at a time, and at once at the start. */
export class AfterCommits {
  readonly #tallybook: Tallybook;
  readonly #work: () => Promise<void>;
  readonly #shortestPause: number;
  readonly #pauseShare: number;
  readonly #stopped = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #committed = (event: BatchEvent): void => {
    if (changesCounts(event)) this.wake();
  };
  #due = false;
  #running: Promise<void> | undefined;

  /**
   * @param pause milliseconds between two times, at least
   * @param share how many times as long as the work took the pause is, at least
   */
  constructor(tallybook: Tallybook, work: () => Promise<void>, pause = shortestPause, share = pauseShare) {
    this.#tallybook = tallybook;
    this.#work = work;
    this.#shortestPause = pause;
    this.#pauseShare = share;
    this.#timer = setInterval(() => this.wake(), lookAgainMilliseconds).unref();
    tallybook.events.on('batch', this.#committed);
    this.wake();
  }

  wake(): void {
    this.#due = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Does nothing more; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    clearInterval(this.#timer);
    this.#tallybook.events.off('batch', this.#committed);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (this.#due && !signal.aborted) {
      this.#due = false;
      const started = performance.now();
      try {
        await this.#work();
      } catch (error) {
        if (!signal.aborted) this.#tallybook.log.error({ err: error }, 'counts could not be worked out');
      }
      const pause = Math.max(this.#shortestPause, this.#pauseShare * (performance.now() - started));
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}

interface Listener {
  /** Of these spaces; of all when undefined. */
  ids: ReadonlySet<string> | undefined;
  /** Resolves when it takes more. */
  tell(counts: Counted[]): Promise<void>;
}

interface Counted {
  space: Space;
  count: number;
}

/** What a listener knows. One that is slow is told of what is then, and nobody waits for it. */
class Told {
  readonly #listener: Listener;
  readonly #counts = new Map<string, number>();
  #taking = false;
  #missed = false;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  get ids(): ReadonlySet<string> | undefined {
    return this.#listener.ids;
  }

  /** Tells what has changed. True, later, if it missed something meanwhile. */
  async tell(counts: Counted[]): Promise<boolean> {
    const changed = counts.filter(
      ({ space, count }) => this.ids?.has(space.id) !== false && this.#counts.get(space.id) !== count,
    );
    if (changed.length === 0) return false;
    if (this.#taking) {
      this.#missed = true;
      return false;
    }
    for (const { space, count } of changed) this.#counts.set(space.id, count);
    this.#taking = true;
    this.#missed = false;
    await this.#listener.tell(changed);
    this.#taking = false;
    return this.#missed;
  }
}

class LiveCounts {
  readonly #tallybook: Tallybook;
  readonly #listeners = new Set<Told>();
  #afterCommits: AfterCommits | undefined;

  constructor(tallybook: Tallybook) {
    this.#tallybook = tallybook;
  }

  listen(listener: Listener): () => void {
    const told = new Told(listener);
    this.#listeners.add(told);
    if (this.#afterCommits) this.#afterCommits.wake();
    else this.#afterCommits = new AfterCommits(this.#tallybook, () => this.#tell());
    return () => {
      this.#listeners.delete(told);
      if (this.#listeners.size > 0) return;
      void this.#afterCommits?.stop();
      this.#afterCommits = undefined;
    };
  }

  async #tell(): Promise<void> {
    const building = await buildingOf(this.#tallybook, undefined);
    const all = [...this.#listeners].some(({ ids }) => ids === undefined);
    const wanted = new Set([...this.#listeners].flatMap(({ ids }) => [...(ids ?? [])]));
    const spaces = [...building.spaces.values()].filter(({ id }) => all || wanted.has(id));
    const options = { calibrated: true, knownAt: undefined };
    const { counts } = await countsAt(this.#tallybook, building, spaces, nowMicros(), options);
    const known = counts.flatMap(({ space, count }) => (count === null ? [] : [{ space, count }]));
    for (const told of this.#listeners) {
      void told.tell(known).then((missed) => {
        if (missed) this.#afterCommits?.wake();
      });
    }
  }
}

const ofTallybook = new WeakMap<Tallybook, LiveCounts>();

function liveCountsOf(tallybook: Tallybook): LiveCounts {
  let live = ofTallybook.get(tallybook);
  if (!live) {
    live = new LiveCounts(tallybook);
    ofTallybook.set(tallybook, live);
  }
  return live;
}

export const liveRoute: Route = {
  method: 'GET',
  path: '/v1/spaces/events',
  scope: 'read',
  streams: countedStreams,
  summary: 'Counts as they change, as server-sent events',
  description:
    'Events `counts`: first of every space, then of those whose count has changed, soon after the commit.',
  query: Type.Object({
    space_id: Type.Optional(
      Type.String({ maxLength: 2_000, description: 'Only these spaces, separated by commas.' }),
    ),
    negative: countParameters.negative,
  }),
  paged: false,
  answers: 'events',
  async answer({ tallybook, query }) {
    const ids = query.space_id?.split(',');
    const building = await buildingOf(tallybook, undefined);
    for (const id of ids ?? []) spaceOf(building, id);
    return {
      async events(events) {
        const stop = liveCountsOf(tallybook).listen({
          ids: ids && new Set(ids),
          async tell(counts) {
            const ts = time(nowMicros());
            const spaces = counts.map(({ space, count }) => ({
              space_id: space.id,
              count: shown(count, query),
              utilisation: utilisation(shown(count, query), space),
            }));
            await events.each(ts, 'counts', { ts, spaces });
          },
        });
        events.onClose(stop);
      },
    };
  },
};
