/** `tallybook reports` and `tallybook rates`: sales reports taken in, and what their currencies were worth. */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { policies } from '../../systems/reports/declarations.ts';
import type { ShownReport } from '../../systems/reports/report.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  quietSetting,
  setting,
  wholeNumber,
} from '../config.ts';
import { connected } from '../connect.ts';
import { accepted, askJson, type Connection, pathOf } from '../connection.ts';
import { perSecond, secondsFigure, secondsSince, wholeFigure } from '../figures.ts';
import { interruptible } from '../interrupt.ts';
import { exitCodes, usageError } from '../outcome.ts';
import { type Progress, withProgress } from '../progress.ts';
import { type ReportOptions, takeInReport } from '../report-file.ts';
import { table } from '../table.ts';
import { note, print, printJson } from '../terminal.ts';

interface TakeInSettings extends ConnectionSettings, ReportOptions {
  json?: boolean;
  quiet?: boolean;
}
interface AskSettings extends ConnectionSettings {
  json?: boolean;
}

export function reportsCommands(program: Command): void {
  const reports = program.command('reports').description('sales reports of music services: import, delete');
  const take = reports
    .command('import')
    .description('take in reports, plain or gzip')
    .argument('<file...>', 'files, with names as services give them')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook reports import Spotify_SpotifyDuo_NO_NOK_20200101-20200131.tsv.gz
  $ tallybook reports import DSR_Us_Them_Service_2020-01_NO_1of1_20200205T101500.tsv.gz --currency NOK

Every file is one report: its lines appear together or not at all. The same content again is the same report. What a
report was warned of is shown; lines that are rejected are at /dsrs/ID/rejected.`,
    )
    .addOption(setting('--currency <code>', 'of files whose names say none, as those of DDEX'))
    .addOption(setting('--policy <name>', 'how they are converted to euro', { choices: policies }))
    .addOption(setting('--rate <number>', 'with --policy fixed: what one euro is worth'))
    .addOption(setting('--supersede <id>', 'the report that the file takes the place of'))
    .action(takeInReports);
  for (const option of [...connectionSettings(), jsonSetting(), quietSetting()]) take.addOption(option);
  const remove = reports
    .command('delete')
    .description('take a report and its lines out of every figure, in one commit')
    .argument('<id>', 'its number', wholeNumber(1, 999_999_999_999))
    .addHelpText('after', '\nExample:\n  $ tallybook reports delete 12')
    .action(deleteReport);
  for (const option of [...connectionSettings(), jsonSetting()]) remove.addOption(option);
  const rates = program
    .command('rates')
    .description('what currencies were worth in euro')
    .command('import')
    .description('take in the file of the European Central Bank (eurofxref-hist.csv), or JSON')
    .argument('<file>', 'the file')
    .addHelpText('after', '\nExample:\n  $ tallybook rates import eurofxref-hist.csv')
    .action(takeInRates);
  for (const option of [...connectionSettings(), jsonSetting()]) rates.addOption(option);
}

async function takeInReports(files: string[], settings: TakeInSettings): Promise<void> {
  if (settings.supersede !== undefined && files.length > 1)
    throw usageError('--supersede names one report; give one file with it');
  for (const file of files) await stat(file);
  await connected(
    settings,
    (connection) => interruptible((signal) => takeInEach(connection, files, settings, signal)),
    { create: true },
  );
}

interface Taking {
  file: string;
  started: number;
  /** Where its progress is shown, when it is its turn. */
  shownOn: Progress | undefined;
  sent: Promise<void>;
  report: Promise<ShownReport>;
}

/** While the lines of one are worked on, the next one is sent. After one that fails, no further one is begun. */
async function takeInEach(
  connection: Connection,
  files: string[],
  settings: TakeInSettings,
  signal: AbortSignal,
): Promise<void> {
  const failures: unknown[] = [];
  const takings: Taking[] = [];
  const beginNext = (): void => {
    const file = files[takings.length];
    if (file !== undefined && failures.length === 0)
      takings.push(beginTaking(connection, file, settings, signal));
  };
  beginNext();
  // The list grows while it is gone through.
  for (const taking of takings) {
    const { file, started, sent, report } = taking;
    void sent.then(beginNext);
    try {
      const taken = await withProgress(basename(file), settings.quiet, (progress) => {
        taking.shownOn = progress;
        return report;
      });
      if (settings.json) printJson(taken);
      else printReport(file, taken, secondsSince(started));
      if ((taken.rejected ?? 0) > 0) process.exitCode = exitCodes.partly;
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function beginTaking(
  connection: Connection,
  file: string,
  settings: TakeInSettings,
  signal: AbortSignal,
): Taking {
  const started = performance.now();
  let onSent = (): void => undefined;
  const sent = new Promise<void>((resolve) => {
    onSent = resolve;
  });
  const progress = {
    update: (fraction: number | undefined, text: string) => taking.shownOn?.update(fraction, text),
  };
  const report = takeInReport(connection, file, settings, progress, signal, () => onSent());
  report.catch(() => undefined); // told when it is its turn
  const taking: Taking = { file, started, shownOn: undefined, sent, report };
  return taking;
}

function printReport(file: string, report: ShownReport, seconds: number): void {
  const { id, territory, currency, period_start, period_end, rows, rejected, revenue } = report;
  print(file);
  print(
    table(
      ['report', 'territory', 'period', 'lines', 'rejected', 'revenue', 'time', 'lines/s'],
      [
        [
          String(id),
          territory.name,
          `${period_start} to ${period_end}`,
          wholeFigure(rows ?? 0),
          wholeFigure(rejected ?? 0),
          `${revenue} ${currency.code}`,
          secondsFigure(seconds),
          wholeFigure(perSecond(rows ?? 0, seconds)),
        ],
      ],
      { right: ['report', 'lines', 'rejected', 'revenue', 'time', 'lines/s'] },
    ),
  );
  for (const warning of report.warnings) note(`warning: ${warning}`);
  if (report.euro === null) note(`There is no rate for ${currency.code} yet: tallybook rates import`);
}

async function deleteReport(id: number, { json, ...settings }: AskSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const gone = await askJson<ShownReport>(connection, 'DELETE', pathOf('dsrs', id));
    if (json) printJson(gone);
    else print(`Report ${id} is deleted: ${wholeFigure(gone.rows ?? 0)} lines were taken back.`);
  });
}

async function takeInRates(file: string, { json, ...settings }: AskSettings): Promise<void> {
  await stat(file);
  await connected(
    settings,
    async (connection) => {
      const reply = await interruptible((signal) =>
        connection.upload(
          'PUT',
          '/v1/rates',
          {},
          { path: resolve(file), name: basename(file) },
          () => undefined,
          signal,
        ),
      );
      const told = JSON.parse(accepted(reply).text) as Record<
        'rates' | 'new' | 'changed' | 'reports',
        number
      >;
      if (json) return printJson(told);
      print(
        `${wholeFigure(told.rates)} rates: ${wholeFigure(told.new)} new, ${wholeFigure(told.changed)} changed; ${wholeFigure(told.reports)} reports converted`,
      );
    },
    { create: true },
  );
}
