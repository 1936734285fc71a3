/**
 * `tallybook export`: the records that stand, as of one moment: what is written meanwhile is not in it. A file appears
 * whole or not at all.
 */
import { open, rename, rm } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Command } from 'commander';
import { limits } from '../../engine/limits.ts';
import type { AsOf } from '../../engine/store.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  quietSetting,
  setting,
} from '../config.ts';
import { connected } from '../connect.ts';
import { askJson, type Connection, pages, pathOf, type Query } from '../connection.ts';
import { counted, perSecond, secondsFigure, secondsSince, wholeFigure } from '../figures.ts';
import { interruptible } from '../interrupt.ts';
import { type Progress, withProgress } from '../progress.ts';
import { type Selection, selectionQuery, selectionSettings } from '../selection.ts';
import { note, printJson, write as writeTo } from '../terminal.ts';

const formats = ['csv', 'ndjson', 'json'] as const;
type Format = (typeof formats)[number];

interface ExportSettings extends ConnectionSettings, Selection {
  format?: Format;
  output?: string;
  json?: boolean;
  quiet?: boolean;
}

export function exportCommand(program: Command): void {
  const command = program
    .command('export')
    .description('write the records that stand to a file, or to standard output')
    .argument('<stream>', 'the stream')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook export usage --output usage.csv.gz
  $ tallybook export usage --format ndjson --where type=data --from 2026-10-01 --to 2026-11-01 | wc -l
  $ tallybook export usage --known-at 2026-11-01 --output as-it-was.ndjson

The export is of one moment, whatever is written meanwhile. A file appears whole or not at all.`,
    )
    .addOption(setting('--format <name>', "else told by the output's name, else csv", { choices: formats }))
    .addOption(setting('--output <file>', 'file to write; packed when its name ends in .gz'));
  for (const option of [...selectionSettings(), ...connectionSettings(), jsonSetting(), quietSetting()])
    command.addOption(option);
  command.action(exportRecords);
}

async function exportRecords(stream: string, settings: ExportSettings): Promise<void> {
  const { output, json, quiet } = settings;
  const format = settings.format ?? formatOfOutput(output) ?? 'csv';
  const write = output === undefined ? toStandardOutput : toFile(output);
  const what = { stream, format, settings };
  const { rows, asOf, seconds } = await connected(settings, async (connection) => {
    const started = performance.now();
    const exported = await interruptible((signal) =>
      withProgress(`export of ${stream}`, quiet, (progress) =>
        write((put) => exportTo(put, connection, what, progress, signal)),
      ),
    );
    return { ...exported, seconds: secondsSince(started) };
  });
  if (json && output !== undefined) {
    printJson({ stream, output, format, records: rows, as_of: asOf, seconds });
  } else if (!quiet) {
    const rate = wholeFigure(perSecond(rows, seconds));
    note(
      `${counted(rows, 'record')} in ${secondsFigure(seconds)} (${rate} a second), as of ${asOf.recorded_at}`,
    );
  }
}

async function exportTo(
  put: Put,
  connection: Connection,
  { stream, format, settings }: { stream: string; format: Format; settings: ExportSettings },
  progress: Progress,
  signal: AbortSignal,
): Promise<{ rows: number; asOf: AsOf }> {
  const { count, as_of } = await momentOf(connection, stream, settings);
  // A commit while the pages are read changes none of them.
  const query = { ...selectionQuery(settings), known_at: settings.knownAt ?? as_of.recorded_at };
  return {
    rows: await writePages(connection, { stream, format, query, count }, put, progress, signal),
    asOf: as_of,
  };
}

function formatOfOutput(output: string | undefined): Format | undefined {
  const ending = output?.toLowerCase().replace(/\.gz$/, '').split('.').at(-1);
  return ending === 'jsonl' ? 'ndjson' : formats.find((format) => format === ending);
}

/** How many records there are, and as of when. */
async function momentOf(
  connection: Connection,
  stream: string,
  selection: Selection,
): Promise<{ count: number; as_of: AsOf }> {
  const answer = await askJson<{ rows: { count: number }[]; as_of: AsOf }>(
    connection,
    'GET',
    pathOf('v1', 'streams', stream, 'query'),
    {
      query: { ...selectionQuery(selection), measures: 'count' },
    },
  );
  return { count: answer.rows[0]?.count ?? 0, as_of: answer.as_of };
}

type Put = (text: string) => Promise<void>;
interface What {
  stream: string;
  format: Format;
  query: Query;
  /** How many records are expected. */
  count: number;
}

async function writePages(
  connection: Connection,
  { stream, format, query, count }: What,
  put: Put,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const path = pathOf('v1', 'streams', stream, 'records');
  const asked = { ...query, format: format === 'csv' ? 'csv' : 'ndjson', page_size: limits.page_rows };
  let rows = 0;
  let first = true;
  if (format === 'json') await put('[\n');
  for await (const { text } of pages(connection, path, asked)) {
    signal.throwIfAborted();
    const page = format === 'csv' ? withoutHeader(text, first) : text;
    // Nothing but the records may hold a line end here: texts in CSV may.
    const added = format === 'csv' ? Math.min(limits.page_rows, count - rows) : linesIn(page);
    if (format === 'json')
      await put((first || page === '' ? '' : ',\n') + page.trimEnd().replaceAll('\n', ',\n'));
    else await put(page);
    rows += added;
    first = false;
    progress.update(count === 0 ? undefined : Math.min(1, rows / count), `${wholeFigure(rows)} records`);
  }
  if (format === 'json') await put(rows === 0 ? ']\n' : '\n]\n');
  return rows;
}

/** Every page of CSV starts with the header; only the first one keeps it. Names of fields hold no line end. */
function withoutHeader(page: string, first: boolean): string {
  return first ? page : page.slice(page.indexOf('\n') + 1);
}

function linesIn(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}

function toStandardOutput<T>(work: (put: Put) => Promise<T>): Promise<T> {
  return work((text) => writeTo(text));
}

/** Writes beside the file, and gives the result its name at the end. */
function toFile(path: string): <T>(work: (put: Put) => Promise<T>) => Promise<T> {
  return async (work) => {
    const unfinished = `${path}.unfinished-${process.pid}`;
    const file = (await open(unfinished, 'wx')).createWriteStream();
    const entry = path.toLowerCase().endsWith('.gz') ? createGzip() : new PassThrough();
    const written = pipeline(entry, file);
    written.catch(() => undefined); // told where it is awaited
    try {
      const result = await work((text) => writeTo(text, entry));
      entry.end();
      await written;
      await rename(unfinished, path);
      return result;
    } catch (error) {
      entry.destroy();
      const cause = await written.then(
        () => error,
        (failed: NodeJS.ErrnoException) => (failed.code === 'ERR_STREAM_PREMATURE_CLOSE' ? error : failed),
      );
      await rm(unfinished, { force: true });
      throw cause;
    }
  };
}
