/** One sales report, from its file to its end, with progress. */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { ShownReport } from '../systems/reports/report.ts';
import { accepted, askJson, type Connection, pathOf } from './connection.ts';
import { followImport } from './follow-import.ts';
import type { Progress } from './progress.ts';

/** What the name of a file may leave open; texts, as they are given. */
export interface ReportOptions {
  currency?: string;
  policy?: string;
  rate?: string;
  /** The report that it takes the place of. */
  supersede?: string;
}

/**
 * Throws `import_failed` with the reason when it fails, `Interrupted` when the signal is aborted.
 * @param onSent called when all of it has been sent: then the next one can be
 */
export async function takeInReport(
  connection: Connection,
  file: string,
  { currency, policy, rate, supersede }: ReportOptions,
  progress: Progress,
  signal: AbortSignal,
  onSent: () => void = () => undefined,
): Promise<ShownReport> {
  const path = resolve(file);
  const name = basename(file);
  const query = { currency, policy, rate, supersede, wait: 0 };
  const sending = {
    ...connection,
    async sendFile(_: unknown, onBytes: (bytes: number) => void) {
      const sent = await connection.upload('POST', '/dsrs/import/', query, { path, name }, onBytes, signal);
      const { id } = JSON.parse(accepted(sent).text) as ShownReport;
      onSent();
      return connection.importState(id);
    },
  };
  const asImport = {
    stream: 'report_lines',
    path,
    name,
    format: 'tsv',
    mode: 'insert',
    deleteFile: false,
  } as const;
  const { id } = await followImport(sending, asImport, (await stat(path)).size, progress, signal);
  return askJson<ShownReport>(connection, 'GET', pathOf('dsrs', id));
}
