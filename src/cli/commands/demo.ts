/**
 * `tallybook demo`: sees Tallybook at work, in one command. Makes up records as four systems send them, loads them,
 * fixes a reject, asks, corrects, and then serves until Ctrl-C, while a few more records come in every second.
 */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { ShownReport } from '../../systems/reports/report.ts';
import { adminKeyFile, openTallybook } from '../compose.ts';
import {
  type LedgerSettings,
  ledgerSettings,
  portNumber,
  quietSetting,
  setting,
  whereText,
  wholeNumber,
} from '../config.ts';
import { accepted, ask, askJson, type Connection } from '../connection.ts';
import { type DemoFile, writeDemoFiles } from '../demo/files.ts';
import { building, plans, rates, subscriptions } from '../demo/reference.ts';
import { demoStreams } from '../demo/streams.ts';
import { askQuestions, correctRecord, heading, showReject } from '../demo/tour.ts';
import { startTrickle } from '../demo/trickle.ts';
import { secondsFigure, secondsSince, wholeFigure } from '../figures.ts';
import { followImport } from '../follow-import.ts';
import { connectTo } from '../in-process.ts';
import { interruptible } from '../interrupt.ts';
import { commandLog } from '../log.ts';
import { usageError } from '../outcome.ts';
import { withProgress } from '../progress.ts';
import { type FileReceipt, receiptsTable } from '../receipt.ts';
import { takeInReport } from '../report-file.ts';
import { portOrAny, type Serving, startServing } from '../serving.ts';
import { print, style } from '../terminal.ts';

interface DemoSettings extends LedgerSettings {
  records?: number;
  port?: number;
  auth: boolean;
  once?: boolean;
  quiet?: boolean;
}

const recordsDefault = 300_000;
const host = '127.0.0.1';
const portDefault = 8080;

export function demoCommand(program: Command): void {
  const command = program
    .command('demo')
    .description('see it work, on records made up for it')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook demo
  $ tallybook demo --once --records 30000 --data /tmp/demo

A second run in the same directory makes the same records: all of them are duplicates then, and no sum changes.`,
    );
  for (const option of ledgerSettings('./tallybook-data/demo')) command.addOption(option);
  command
    .addOption(
      setting(
        '--records <number>',
        `records of usage, the other streams in proportion; ${recordsDefault} when not given`,
        { parse: wholeNumber(100, 100_000_000) },
      ),
    )
    .addOption(
      setting(
        '--port <number>',
        `port to listen on at the end; ${portDefault} when not given, or any that is free`,
        { parse: portNumber },
      ),
    )
    .addOption(setting('--no-auth', 'ask for no key'))
    .addOption(setting('--once', 'end after it, serve nothing'))
    .addOption(quietSetting())
    .action(demo);
}

async function demo(settings: DemoSettings): Promise<void> {
  const { data, memory, threads, systems, once } = settings;
  if (systems) throw usageError('the demo fills all systems; leave --systems out');
  const tallybook = await openTallybook({
    directory: data,
    memoryLimit: memory,
    threads,
    log: commandLog(),
  });
  let close = () => tallybook.close();
  try {
    // It serves from the start, so that /metrics counts what is loaded, and other commands can look on.
    const serving = once ? undefined : await serve(tallybook, settings);
    if (serving) close = () => serving.stop();
    await interruptible((signal) => tour(tallybook, settings, signal));
    if (!serving) return;
    await printAddresses(serving.url, settings);
    const endTrickle = startTrickle(connectTo(tallybook, data));
    close = async () => {
      await serving.untilStopped();
      await endTrickle();
    };
  } finally {
    await close();
  }
}

/** At the port that is asked for; without one, at the usual one or any that is free. */
async function serve(tallybook: Tallybook, { data, port, auth }: DemoSettings): Promise<Serving> {
  return startServing({
    tallybook,
    directory: data,
    host,
    port: port ?? (await portOrAny(host, portDefault)),
    auth,
  });
}

async function tour(tallybook: Tallybook, settings: DemoSettings, signal: AbortSignal): Promise<void> {
  const { data, quiet } = settings;
  const made = await whatIsMade(data, settings.records);
  const where = whereText({ data });
  const connection = connectTo(tallybook, data);
  try {
    print(
      `${style('bold', 'Tallybook')}: a ledger in ${style('bold', data)}, with records made up as four systems send them`,
    );
    await setUp(connection, made, signal);
    await load(connection, made, quiet ?? false, signal);
    const step = { connection, where, day: made.day, records: made.records };
    for (const show of [showReject, askQuestions, correctRecord]) {
      signal.throwIfAborted();
      await show(step);
    }
  } finally {
    await connection.close();
  }
}

interface Made {
  /** All records lie before its start. */
  day: string;
  records: number;
  /** The same were made before, in this directory. */
  again: boolean;
}

/** What a run before has made in this directory is made again; else records up to today. */
async function whatIsMade(directory: string, records: number | undefined): Promise<Made> {
  const path = join(directory, 'demo.json');
  const before = await readFile(path, 'utf8').then(
    (text) => JSON.parse(text) as Made,
    () => undefined,
  );
  const made = {
    day: before?.day ?? new Date().toISOString().slice(0, 10),
    records: records ?? before?.records ?? recordsDefault,
  };
  await mkdir(directory, { recursive: true });
  await writeFile(path, `${JSON.stringify(made)}\n`);
  return { ...made, again: before !== undefined };
}

/** What the records refer to comes first. The same again changes nothing. */
async function setUp(connection: Connection, { day, records }: Made, signal: AbortSignal): Promise<void> {
  heading('Four streams of the systems that ship with it');
  for (const [name, { description }] of Object.entries(demoStreams))
    print(`${style('bold', name.padEnd(13))} ${description}`);
  const post = (path: string, body: unknown) => ask(connection, 'POST', path, { body });
  await post('/v1/usage/plans', plans);
  await post('/v1/usage/subscriptions', subscriptions);
  await post('/v1/occupancy/plan', building(records));
  await inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'rates.json');
    await writeFile(path, JSON.stringify({ rates: rates(day) }));
    const file = { path, name: 'rates.json' };
    accepted(
      await connection.upload('PUT', '/v1/rates', { source: 'made up' }, file, () => undefined, signal),
    );
  });
}

async function inTemporaryDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tallybook-demo-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function load(
  connection: Connection,
  { day, records, again }: Made,
  quiet: boolean,
  signal: AbortSignal,
): Promise<void> {
  heading('Files of records are made up, and imported');
  await inTemporaryDirectory(async (directory) => {
    const files = await withProgress('making records', quiet, (progress) =>
      writeDemoFiles(directory, day, records, progress, signal),
    );
    const reports = await askJson<ShownReport[]>(connection, 'GET', '/dsrs/');
    const known = new Set(reports.map(({ id }) => id));
    const started = performance.now();
    const receipts: FileReceipt[] = [];
    for (const file of files) {
      const load = file.stream === 'report_lines' ? loadReport : loadFile;
      receipts.push(await load(connection, file, quiet, signal, known));
    }
    print(receiptsTable(receipts));
    printTotals(receipts, secondsSince(started), again);
  });
}

async function loadFile(
  connection: Connection,
  { stream, path, name, format }: DemoFile,
  quiet: boolean,
  signal: AbortSignal,
): Promise<FileReceipt> {
  const started = performance.now();
  const file = { stream, path, name, format, mode: 'insert' as const, deleteFile: false };
  const { size } = await stat(path);
  const { id, counts } = await withProgress(name.padEnd(16), quiet, (progress) =>
    followImport(connection, file, size, progress, signal),
  );
  return { file: name, stream, import: id, receipt: counts, rejects: [], seconds: secondsSince(started) };
}

/** @param known the reports that were there before: the same content is the same report */
async function loadReport(
  connection: Connection,
  { stream, path, name }: DemoFile,
  quiet: boolean,
  signal: AbortSignal,
  known: ReadonlySet<number>,
): Promise<FileReceipt> {
  const started = performance.now();
  const report = await withProgress(name.padEnd(16), quiet, (progress) =>
    takeInReport(connection, path, {}, progress, signal),
  );
  const { counts } = await connection.importState(report.id);
  const receipt = known.has(report.id) ? { ...counts!, accepted: 0, duplicates: counts!.accepted } : counts!;
  return { file: name, stream, import: report.id, receipt, rejects: [], seconds: secondsSince(started) };
}

function printTotals(receipts: FileReceipt[], seconds: number, again: boolean): void {
  const total = (name: 'received' | 'duplicates' | 'rejected'): number =>
    receipts.reduce((sum, { receipt }) => sum + receipt[name], 0);
  const [received, duplicates, rejected] = [total('received'), total('duplicates'), total('rejected')];
  const rate = wholeFigure(received / Math.max(seconds, 0.001));
  print(
    `\n${wholeFigure(received)} records in ${secondsFigure(seconds)}, ${rate} a second, each with its verdict after the commit.`,
  );
  if (again && duplicates === received - rejected)
    print(style('green', 'They are the same as in the run before: all duplicates, no sum has changed.'));
}

async function printAddresses(url: string, { data, auth }: DemoSettings): Promise<void> {
  const key = adminKeyFile(data);
  // Behind the # it is sent to nobody: the page takes it from there, and out of the address.
  const brought = auth ? `#key=${(await readFile(key, 'utf8')).trim()}` : '';
  const question = `${url}/v1/streams/usage/query?measures=sum(price),count&by=type&every=day`;
  const authorization = auth ? ` -H "Authorization: Bearer $(cat ${key})"` : '';
  heading(`Tallybook serves it at ${url}, until Ctrl-C`);
  print(`Open it in a browser          ${style('cyan', `${url}/${brought}`)}`);
  print(`The API, to read and to try   ${style('cyan', `${url}/docs`)}`);
  print(`Figures for Prometheus        ${style('cyan', `${url}/metrics`)}`);
  print(`A question                    ${style('cyan', question)}`);
  if (auth)
    print(
      `The key for all of them       ${style('bold', key)} (as a bearer token, or as the user name of Basic)`,
    );
  print(`\n${style('dim', `$ curl${authorization} '${question}'`)}`);
}
