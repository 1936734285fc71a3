/** `tallybook import`: files taken in, one after the other, each whole or not at all. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { formatOfName } from '../../engine/import-content.ts';
import type { Reject } from '../../engine/rejects.ts';
import { type FileFormat, fileFormats } from '../../engine/store.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  modeSetting,
  quietSetting,
  setting,
  whereText,
} from '../config.ts';
import { connected } from '../connect.ts';
import { askJson, type Connection, type FileToImport } from '../connection.ts';
import { bytesFigure, secondsSince } from '../figures.ts';
import { followImport } from '../follow-import.ts';
import { interruptible } from '../interrupt.ts';
import { exitCodes, usageError } from '../outcome.ts';
import { type Progress, withProgress } from '../progress.ts';
import { type FileReceipt, printReceipt } from '../receipt.ts';
import { printJson } from '../terminal.ts';

interface ImportSettings extends ConnectionSettings {
  format?: FileFormat;
  mode: 'insert' | 'upsert';
  form?: string;
  json?: boolean;
  quiet?: boolean;
}

/** How many rejects of a file are shown; the others are a command away. */
const rejectsShown = 5;

export function importCommand(program: Command): void {
  const command = program
    .command('import')
    .description('take in files of records: CSV, TSV, NDJSON, Parquet; plain, gzip, zstd')
    .argument('<stream>', 'the stream the records belong to')
    .argument('<file...>', 'files; - is standard input')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook import usage 2026-10.csv.gz 2026-11.csv.gz
  $ zcat dump.gz | tallybook import usage - --format ndjson
  $ tallybook import usage corrections.csv --mode upsert

Every file is one unit: its rows appear together or not at all. Ctrl-C leaves nothing of the file at hand. The same
file twice counts once. Rows that are refused are kept with the reason: tallybook rejects list --import ID.`,
    )
    .addOption(
      setting('--format <name>', "format of the files; else told by each file's name", {
        choices: fileFormats,
      }),
    )
    .addOption(modeSetting())
    .addOption(
      setting(
        '--form <name>',
        "the form of the stream in which the records come; the stream's own without it",
      ),
    );
  for (const option of [...connectionSettings(), jsonSetting(), quietSetting()]) command.addOption(option);
  command.action(importFiles);
}

/** Imports files into a stream, one after the other, and prints a receipt of each. */
export async function importFiles(stream: string, files: string[], settings: ImportSettings): Promise<void> {
  const formats = files.map((file) => formatOf(file, settings.format));
  if (files.filter((file) => file === '-').length > 1)
    throw usageError('standard input (-) can be read once only');
  for (const file of files) if (file !== '-') await stat(file);
  await connected(settings, async (connection) => {
    await connection.mustHaveStream(stream);
    for (const [index, file] of files.entries()) {
      const receipt = await importOne(connection, { stream, file, format: formats[index]! }, settings);
      if (settings.json) printJson(receipt);
      else printReceipt(receipt, whereText(settings));
      if (receipt.receipt.rejected + receipt.receipt.conflicts > 0) process.exitCode = exitCodes.partly;
    }
  });
}

function formatOf(file: string, given: FileFormat | undefined): FileFormat {
  const format = given ?? formatOfName(file);
  if (format) return format;
  const what =
    file === '-'
      ? 'standard input has no name that tells its format'
      : `the name ${file} does not tell its format`;
  throw usageError(`${what}; add --format ${fileFormats.join('|')}`);
}

interface What {
  stream: string;
  file: string;
  format: FileFormat;
}

async function importOne(
  connection: Connection,
  { stream, file, format }: What,
  { mode, form, quiet }: ImportSettings,
): Promise<FileReceipt> {
  const title = file === '-' ? 'standard input' : basename(file);
  const from: FileToImport = {
    stream,
    form,
    path: resolve(file),
    name: title,
    format,
    mode,
    deleteFile: false,
  };
  const started = performance.now();
  const { id, counts } = await interruptible((signal) =>
    withProgress(title, quiet, async (progress) => {
      if (file !== '-') return followImport(connection, from, (await stat(file)).size, progress, signal);
      const directory = await mkdtemp(join(tmpdir(), 'tallybook-'));
      try {
        const path = join(directory, 'input');
        const bytes = await keepInput(path, progress, signal);
        return await followImport(connection, { ...from, path }, bytes, progress, signal);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    }),
  );
  const seconds = secondsSince(started);
  const refused = counts.rejected + counts.conflicts > 0;
  return {
    file,
    stream,
    import: id,
    receipt: counts,
    rejects: refused ? await firstRejects(connection, id) : [],
    seconds,
  };
}

async function firstRejects(connection: Connection, id: number): Promise<Reject[]> {
  const query = { import: id, page_size: rejectsShown, order: 'oldest' };
  return (await askJson<{ rejects: Reject[] }>(connection, 'GET', '/v1/rejects', { query })).rejects;
}

/** Standard input is kept in a file first: what is inside must be read more than once. */
async function keepInput(path: string, progress: Progress, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      progress.update(undefined, `reading, ${bytesFigure(bytes)}`);
      done(null, chunk);
    },
  });
  await pipeline(process.stdin, count, createWriteStream(path, { mode: 0o600 }), { signal });
  return bytes;
}
