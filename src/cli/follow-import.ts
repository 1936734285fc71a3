/**
 * One import, from its start to its end, with progress. Stopped by Ctrl-C it is withdrawn, so that it leaves nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TallybookError } from '../engine/errors.ts';
import type { ImportCounts, ImportProgress, ImportState } from '../engine/import-state.ts';
import { ask, type Connection, type FileToImport, pathOf } from './connection.ts';
import { bytesFigure, perSecond, wholeFigure } from './figures.ts';
import { Interrupted } from './outcome.ts';
import type { Progress } from './progress.ts';

const askEveryMilliseconds = 50;

export interface EndedImport extends ImportState {
  counts: ImportCounts;
}

/** Throws `import_failed` with the reason when it fails, `Interrupted` when the signal is aborted. */
export async function followImport(
  connection: Pick<Connection, 'sendFile' | 'importState' | 'request'>,
  file: FileToImport,
  bytes: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<EndedImport> {
  let state = await connection.sendFile(
    file,
    (sent) => progress.update(undefined, `sending, ${bytesFigure(sent)} of ${bytesFigure(bytes)}`),
    signal,
  );
  const meter = new Meter();
  while (state.status === 'in_progress') {
    if (signal.aborted) return withdrawn(connection, state.id);
    if (state.progress) progress.update(meter.fraction(state.progress), meter.text(state.progress));
    await sleep(askEveryMilliseconds, undefined, { signal }).catch(() => undefined);
    state = await connection.importState(state.id);
  }
  if (state.status === 'done' && state.counts) return state as EndedImport;
  throw new TallybookError('import_failed', `${file.name}: ${state.error ?? state.status}`);
}

async function withdrawn(connection: Pick<Connection, 'request'>, id: number): Promise<never> {
  await ask(connection, 'DELETE', pathOf('v1', 'imports', id));
  throw new Interrupted(`interrupted; nothing of import ${id} was kept`);
}

type Step = ImportProgress['step'];

/** Where in the whole each step begins and ends, as it was measured: staging takes most of the time. */
const spans: Record<Step, [number, number]> = {
  waiting: [0, 0],
  hashing: [0, 0.15],
  staging: [0.15, 0.65],
  comparing: [0.65, 0.75],
  publishing: [0.75, 1],
};

/**
 * How much of the whole is done, as far as one can know: within a step by the bytes that are read, where they are told;
 * else by how long the steps before it took, never reaching the next one.
 */
class Meter {
  #furthest = 0;
  #step: Step = 'waiting';
  #stepFrom = 0;

  fraction({ step, bytes_done: done, bytes_total: total, seconds }: ImportProgress): number | undefined {
    if (step !== this.#step) [this.#step, this.#stepFrom] = [step, seconds];
    const [from, to] = spans[step];
    if (step === 'waiting') return undefined;
    if (done !== null && total)
      this.#furthest = Math.max(this.#furthest, from + (to - from) * Math.min(1, done / total));
    else if (step === 'comparing' || step === 'publishing') {
      const expected = (this.#stepFrom / from) * (to - from);
      const passed = 1 - Math.exp(-(seconds - this.#stepFrom) / Math.max(expected, 0.1));
      this.#furthest = Math.max(this.#furthest, from + (to - from) * passed);
    } else return undefined;
    return Math.min(this.#furthest, 0.99);
  }

  text({ step, rows, seconds }: ImportProgress): string {
    if (rows === 0) return step;
    return `${step}, ${wholeFigure(rows)} rows, ${wholeFigure(perSecond(rows, seconds))} rows/s`;
  }
}
