/** Writes the demo's records into files, as the systems would send them. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FileFormat } from '../../engine/store.ts';
import { wholeFigure } from '../figures.ts';
import type { Progress } from '../progress.ts';
import { faultyUsage, madeUpRecords } from './made-up.ts';
import type { DemoStream } from './streams.ts';

export interface DemoFile {
  stream: DemoStream;
  path: string;
  name: string;
  format: FileFormat;
  rows: number;
}

const rowsAtOnce = 2_000;

/** Of each stream, for so many records of usage. */
export function recordCounts(records: number): Record<DemoStream, number> {
  return {
    usage: records,
    events: Math.ceil((records * 2) / 3),
    report_lines: Math.ceil(records / 3),
    passages: Math.ceil((records * 2) / 3),
  };
}

export async function writeDemoFiles(
  directory: string,
  day: string,
  records: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<DemoFile[]> {
  const counts = recordCounts(records);
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const files: DemoFile[] = [];
  let written = 0;
  for (const [key, made] of Object.entries(madeUpRecords(day))) {
    const stream = key as DemoStream;
    for (const { name, from, to } of made.files(counts[stream])) {
      const faulty = stream === 'usage' && from === 0 ? faultyUsage(day) : [];
      const pieces = function* (): Generator<string> {
        yield made.header + faulty.join('');
        for (let i = from; i < to; i += rowsAtOnce) {
          let text = '';
          for (let j = i; j < Math.min(to, i + rowsAtOnce); j++) text += made.line(j);
          written += Math.min(to, i + rowsAtOnce) - i;
          progress.update(written / total, `${wholeFigure(written)} records`);
          yield text;
        }
      };
      const path = join(directory, name);
      const format = name.split('.').at(-1) as FileFormat;
      await pipeline(Readable.from(pieces(), { objectMode: false }), createWriteStream(path), { signal });
      files.push({ stream, path, name, format, rows: to - from + faulty.length });
    }
  }
  return files;
}
