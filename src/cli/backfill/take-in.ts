/**
 * Takes a table in, chunk by chunk: while one is imported, the next is read. A chunk is there whole or not at all; an
 * interruption leaves those that are done, and the next run goes on after them.
 */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImportState } from '../../engine/import-state.ts';
import type { Connection } from '../connection.ts';
import { perSecond, secondsSince, wholeFigure } from '../figures.ts';
import { type EndedImport, followImport } from '../follow-import.ts';
import { Interrupted } from '../outcome.ts';
import type { Progress } from '../progress.ts';
import { chunkName } from './done-chunks.ts';
import type { BackfillSource, Chunk } from './source.ts';

export interface TakingIn {
  stream: string;
  mode: 'insert' | 'upsert';
  /** The key after which it begins. */
  after: string | undefined;
  /** How many rows are expected. */
  rows: number;
  /** For the files of chunks; removed by the caller. */
  directory: string;
  progress: Progress;
  signal: AbortSignal;
}

/** Returns the imports that it made. */
export async function takeIn(
  connection: Connection,
  source: BackfillSource,
  taking: TakingIn,
): Promise<ImportState[]> {
  const { signal, rows, progress } = taking;
  const started = performance.now();
  const done: EndedImport[] = [];
  let rowsDone = 0;
  const tell = (soFar: number): void => {
    const rate = wholeFigure(perSecond(soFar, secondsSince(started)));
    const text = `${wholeFigure(soFar)} of ${wholeFigure(rows)} rows, ${rate} rows/s`;
    progress.update(rows === 0 ? undefined : Math.min(0.99, soFar / rows), text);
  };
  let after = taking.after;
  let next = readAhead(source, after, 0, taking);
  try {
    for (let number = 1; ; number++) {
      const { chunk, path } = await next;
      if (!chunk) return done;
      next = readAhead(source, chunk.last, number, taking);
      const name = chunkName(source, taking.mode, after, chunk.last);
      const { size } = await stat(path);
      const state = await followImport(
        connection,
        { stream: taking.stream, path, name, format: chunk.format, mode: taking.mode, deleteFile: false },
        size,
        { update: (fraction = 0) => tell(rowsDone + fraction * chunk.rows) },
        signal,
      );
      await rm(path, { force: true });
      done.push(state);
      rowsDone += chunk.rows;
      tell(rowsDone);
      after = chunk.last;
    }
  } catch (error) {
    // What is being read ahead ends first: its file stands in a directory that the caller removes.
    await next.catch(() => undefined);
    if (signal.aborted && (done.length > 0 || taking.after !== undefined)) {
      const how = error instanceof Interrupted ? error.message : 'interrupted';
      const detail = `${how}; what was taken in before it stays, and the same command goes on from there`;
      throw new Interrupted(detail, { cause: error });
    }
    throw error;
  }
}

function readAhead(
  source: BackfillSource,
  after: string | undefined,
  number: number,
  { directory, signal }: TakingIn,
): Promise<{ chunk: Chunk | undefined; path: string }> {
  const path = join(directory, `chunk-${number % 2}`);
  const reading = source.read(after, path, signal).then((chunk) => ({ chunk, path }));
  // Told where it is awaited.
  reading.catch(() => undefined);
  return reading;
}
