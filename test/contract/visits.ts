/** The stream that files are sent to in the tests of files and imports, five rows for it, and the short way to send a file. */
import type { Delivery, File } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import { fileContent, scratchDirectory, type Trial } from './harness.ts';

export const visits = defineStream('visits', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text' },
    at: { type: 'timestamp', required: true },
    door: { type: 'text' },
    units: { type: 'integer', required: true },
    price: { type: 'decimal', precision: 38, scale: 10 },
  },
  rollups: { doors: { every: 'day', by: ['door'], sum: ['units', 'price'] } },
});
export const header = 'id,at,door,units,price';
export const rows: [id: string, at: string, door: string, n: string, price: string][] = [
  ['a', '2026-10-01T10:00:00Z', 'north', '1', '0.1234567890'],
  ['b', '2026-10-01 11:00:00', 'south, left', '-2', '12345678901234567890.12'],
  ['c', '2026-10-02T10:00:00+02:00', 'a "quoted" one', '9007199254740993', '1e-3'],
  ['d', '2026-10-02T10:00:00Z', 'two\nlines', '0', ''],
  ['e', '2026-10-03T10:00:00Z', '', '3', '5.0'],
];

export const cell = (text: string): string =>
  /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
export const csv = (lines: readonly (readonly string[])[]): string =>
  [header, ...lines.map((line) => line.map(cell).join(','))].join('\n');
export const json = ([id, at, door, n, price]: (typeof rows)[number]): string =>
  `{"id":"${id}","at":"${at}","door":${door === '' ? 'null' : JSON.stringify(door)},"units":${n},"price":${price || 'null'}}`;

/** The same five as they are kept: canonical texts, in the order of the fields. */
export const keptRows = [
  ['a', '2026-10-01T10:00:00.000000Z', 'north', '1', '0.123456789'],
  ['b', '2026-10-01T11:00:00.000000Z', 'south, left', '-2', '12345678901234567890.12'],
  ['c', '2026-10-02T08:00:00.000000Z', 'a "quoted" one', '9007199254740993', '0.001'],
  ['d', '2026-10-02T10:00:00.000000Z', 'two\nlines', '0', null],
  ['e', '2026-10-03T10:00:00.000000Z', null, '3', '5'],
];

/** What stands in the stream, in order of arrival. */
export async function stands(trial: Trial): Promise<(string | null)[][]> {
  const entries = await trial.entries(visits, { standing: true });
  return entries.map(({ id, values }) => [id, ...values.slice(1)]);
}

/** For the tests of one chapter: files that are gone when they are done. */
export function visitFiles() {
  const scratch = scratchDirectory();
  let files = 0;
  const path = (content: string | Buffer, extension: string): string =>
    scratch.write(`${++files}.${extension}`, content);
  return {
    path,
    /** Sends a file of the given content. */
    async take(
      trial: Trial,
      content: string | Buffer,
      given: Partial<File> & { mode?: Delivery['mode'] } = {},
    ): Promise<Receipt> {
      const { mode = 'insert', ...rest } = given;
      const file = fileContent(path(content, rest.format ?? 'ndjson'), { import: 1, ...rest });
      const [receipt] = await trial.publish({
        stream: visits,
        mode,
        source: 'loader',
        reason: undefined,
        content: file,
        allVerdicts: true,
      });
      return receipt!;
    },
  };
}
